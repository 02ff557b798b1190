// Amplify for a page: `npm run bundle` makes one script of it.
import { Amplify } from "aws-amplify";
import * as auth from "aws-amplify/auth";

globalThis.Amplify = Amplify;
globalThis.auth = auth;
