import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Stack, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { DataStack } from './data-stack.ts';
import { REPOSITORY_ROOT } from './image.ts';

/**
 * The actions that the backend's storage layer lists in its code; a test there compares this file with the list. The action
 * on the bucket has no condition on the prefix, because HeadObject needs it and has no prefix.
 */
const ACTIONS: { table: string[]; objects: string[]; bucket: string[] } = JSON.parse(
  readFileSync(join(REPOSITORY_ROOT, 'crates/backend/iam-actions.json'), 'utf8'),
);

/** What the keys of all attachments begin with. */
const OBJECT_PREFIX = 'attachments/';

/** Lets the backend do what its code does, to this table, this bucket and these objects. */
export function grantBackendPermissions(role: iam.IRole, data: DataStack): void {
  const { table, bucket } = data;
  const statements = [
    new iam.PolicyStatement({ sid: 'Records', actions: ACTIONS.table, resources: [table.tableArn] }),
    new iam.PolicyStatement({ sid: 'Objects', actions: ACTIONS.objects, resources: [bucket.arnForObjects(`${OBJECT_PREFIX}*`)] }),
    new iam.PolicyStatement({ sid: 'Bucket', actions: ACTIONS.bucket, resources: [bucket.bucketArn] }),
  ];
  for (const statement of statements) {
    role.addToPrincipalPolicy(statement);
  }
  Validations.of(role).acknowledge({
    id: `AwsSolutions-IAM5[Resource::${exportName(data, bucket.bucketArn)}/${OBJECT_PREFIX}*]`,
    reason: 'The backend makes up the objects\' names; every one of them begins with this prefix.',
  });
}

/** Under which name another stack imports the value; findings are named after it. */
export function exportName(stack: Stack, value: string): string {
  const imported: { 'Fn::ImportValue': string } = stack.resolve(stack.exportValue(value));
  return imported['Fn::ImportValue'];
}
