use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::{Row, Store, StoreError, classify_error};

/// How long a revocation matters: the longest lifetime of an access token, and five minutes for clocks that differ.
pub(crate) const LIFETIME_SECONDS: i64 = (24 * 60 + 5) * 60;

/// One sign-out: the subject's tokens that were issued up to this second are revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revocation {
    /// The user's `sub`, or the client ID of a machine client.
    pub(crate) sub: String,
    /// Seconds since 1970.
    pub(crate) issued_until: i64,
}

#[derive(Serialize, Deserialize)]
struct RevocationRow {
    sk: String,
    issued_until: i64,
    expires_at: i64,
}

impl Store {
    /// Records a sign-out: one `PutItem`. Two sign-outs of one subject in the same minute share a row.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub(crate) async fn put_revocation(&self, pool: &str, revocation: &Revocation) -> Result<(), StoreError> {
        let row = RevocationRow {
            sk: sort_key(revocation.issued_until, &revocation.sub),
            issued_until: revocation.issued_until,
            expires_at: revocation.issued_until + LIFETIME_SECONDS,
        };
        let mut row: Row = serde_dynamo::to_item(&row)?;
        row.insert("pk".to_owned(), partition_key(pool));
        let request = self.client.put_item().table_name(&*self.table).set_item(Some(row));
        let sent = self.send("PutItem", request.send()).await;
        sent.map(drop).map_err(|error| classify_error("PutItem", error))
    }

    /// Passes the sign-outs of a pool since `since` (seconds since 1970), oldest first, to `add`, page by page: one `Query`
    /// for each MiB of rows.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub(crate) async fn revocations(
        &self,
        pool: &str,
        since: i64,
        add: impl Fn(Vec<Revocation>),
    ) -> Result<(), StoreError> {
        let mut start = None;
        loop {
            let request = self
                .client
                .query()
                .table_name(&*self.table)
                .key_condition_expression("pk = :pk AND sk >= :since")
                .expression_attribute_values(":pk", partition_key(pool))
                .expression_attribute_values(":since", AttributeValue::S(sort_key(since, "")))
                .set_exclusive_start_key(start);
            let sent = self.send("QueryRevocations", request.send()).await;
            let page = sent.map_err(|error| classify_error("QueryRevocations", error))?;
            add(page.items.unwrap_or_default().into_iter().map(read).collect::<Result<_, _>>()?);
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }
}

fn partition_key(pool: &str) -> AttributeValue {
    AttributeValue::S(format!("REVOKED#{pool}"))
}

/// Minutes since 1970 with leading zeros, so that the rows are in the order of time.
fn sort_key(seconds: i64, sub: &str) -> String {
    format!("{:010}#{sub}", seconds / 60)
}

fn read(row: Row) -> Result<Revocation, StoreError> {
    let row: RevocationRow = serde_dynamo::from_item(row)?;
    let sub = row.sk.split_once('#').map_or("", |(_, sub)| sub).to_owned();
    Ok(Revocation { sub, issued_until: row.issued_until })
}
