import { type Stack, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { DataStack } from './data-stack.ts';

/** What the backend calls on its table; test/permissions.test.ts holds this against the calls in its code. */
export const TABLE_ACTIONS = [
  'dynamodb:BatchWriteItem',
  'dynamodb:DeleteItem',
  'dynamodb:GetItem',
  'dynamodb:PutItem',
  'dynamodb:Query',
  'dynamodb:UpdateItem',
];

/** What the backend calls on its objects, or signs a URL for: a presigned URL may do what its signer may. */
export const OBJECT_ACTIONS = ['s3:DeleteObject', 's3:GetObject', 's3:PutObject'];

/**
 * What the backend calls on its bucket. Without a condition on the prefix: HeadObject asks for this permission, and has no
 * prefix, to tell "no such object" (404) from "not for you" (403).
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
 */
export const BUCKET_ACTIONS = ['s3:ListBucket'];

/** What the keys of all attachments begin with. */
const OBJECT_PREFIX = 'attachments/';

/** Lets the backend do what its code does, to this table, this bucket and these objects. */
export function grantBackendPermissions(role: iam.IRole, data: DataStack): void {
  const { table, bucket } = data;
  const statements = [
    new iam.PolicyStatement({ sid: 'Records', actions: TABLE_ACTIONS, resources: [table.tableArn] }),
    new iam.PolicyStatement({ sid: 'Objects', actions: OBJECT_ACTIONS, resources: [bucket.arnForObjects(`${OBJECT_PREFIX}*`)] }),
    new iam.PolicyStatement({ sid: 'Bucket', actions: BUCKET_ACTIONS, resources: [bucket.bucketArn] }),
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
function exportName(stack: Stack, value: string): string {
  const imported: { 'Fn::ImportValue': string } = stack.resolve(stack.exportValue(value));
  return imported['Fn::ImportValue'];
}
