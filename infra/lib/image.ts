import { fileURLToPath } from 'node:url';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import type { Construct } from 'constructs';
import type { Config } from './config.ts';

/** The Dockerfile's targets, which are also the names of the repositories that releases are copied to. */
export const IMAGE_NAMES = ['backend', 'backend-lambda'] as const;
export type ImageName = (typeof IMAGE_NAMES)[number];

/** Where the Dockerfile is. */
export const REPOSITORY_ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** How to build an image from the Dockerfile. */
export function imageAsset(config: Config, name: ImageName): { target: string; platform: Platform } {
  return { target: name, platform: config.architecture === 'arm64' ? Platform.LINUX_ARM64 : Platform.LINUX_AMD64 };
}

/** This account's repository of an image, made by the Delivery stack. */
export function imageRepository(scope: Construct, name: ImageName): ecr.IRepository {
  return ecr.Repository.fromRepositoryName(scope, 'Repository', name);
}
