import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';

/** How `backend` and `backend-lambda` are told to sweep instead of serving. */
export const SWEEP_COMMAND = ['sweep'];

/** It costs about $5 for a million owners of attachments: a query and a listing each. */
export const SWEEP_SCHEDULE = events.Schedule.rate(Duration.days(1));
