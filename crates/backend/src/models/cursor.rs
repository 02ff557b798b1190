//! Cursors of paged lists.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::{item::ItemId, owner::Owner};

/// A position in one owner's list of items.
///
/// To clients it is opaque text. It contains the ID of the last item and a checksum over that ID and the owner, so that a
/// cursor that is mistyped, cut off or from another user's list is rejected. The checksum protects nothing and need not:
/// the partition always comes from the caller's token, never from a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub ItemId);

const UUID_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 8;

impl Cursor {
    /// Returns the text for the client.
    pub fn encode(self, owner: &Owner) -> String {
        let mut bytes = self.0.uuid().as_bytes().to_vec();
        bytes.extend(self.checksum(owner));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Parses a cursor of `owner`'s list. Returns `None` for any other text.
    pub fn decode(text: &str, owner: &Owner) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (uuid, checksum) = bytes.split_at_checked(UUID_BYTES)?;
        let cursor = Self(Uuid::from_slice(uuid).ok()?.into());
        (cursor.checksum(owner) == checksum).then_some(cursor)
    }

    fn checksum(self, owner: &Owner) -> [u8; CHECKSUM_BYTES] {
        let mut input = b"cursor 1\0".to_vec();
        input.extend(self.0.uuid().as_bytes());
        input.extend(owner.partition_key().as_bytes());
        let mut checksum = [0; CHECKSUM_BYTES];
        checksum.copy_from_slice(&digest(&SHA256, &input).as_ref()[..CHECKSUM_BYTES]);
        checksum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unchanged_cursor_of_the_same_list_is_accepted() {
        let (alice, bob) = (Owner::user("p", "alice"), Owner::user("p", "bob"));
        let cursor = Cursor(ItemId::generate());
        let text = cursor.encode(&alice);
        assert_eq!(Cursor::decode(&text, &alice), Some(cursor));
        assert_eq!(Cursor::decode(&text, &bob), None);
        assert_eq!(Cursor::decode(&text[..text.len() - 2], &alice), None);
        assert_eq!(Cursor::decode("", &alice), None);
        for position in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            assert_eq!(Cursor::decode(&String::from_utf8(changed).unwrap(), &alice), None);
        }
    }
}
