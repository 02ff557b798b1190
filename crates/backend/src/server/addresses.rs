//! Counts the connections of each address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// The addresses that are limited together: one IPv4 address, or the /64 of an IPv6 address, which is what one subscriber
/// gets (RFC 6177, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressBlock(IpAddr);

impl From<IpAddr> for AddressBlock {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (!0 << 64)).into(),
            v4 => v4,
        })
    }
}

/// The connections of each address; never more entries than connections.
#[derive(Clone)]
pub(super) struct Addresses {
    limit: usize,
    open: Arc<Mutex<HashMap<AddressBlock, usize>>>,
}

/// One open connection of an address.
pub(super) struct Entry {
    addresses: Addresses,
    block: AddressBlock,
}

impl Addresses {
    /// Allows `limit` connections for each address; 0 means no limit.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: if limit == 0 { usize::MAX } else { limit }, open: Arc::default() }
    }

    /// Counts a connection, unless its address has as many as it may have.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Entry> {
        let block = AddressBlock::from(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(block).or_insert(0);
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Entry { addresses: self.clone(), block })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut open = self.addresses.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.block) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.block);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_limited_for_each_address() {
        let addresses = Addresses::new(1);
        let [alice, bob]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let first = addresses.enter(alice);
        assert!(first.is_some() && addresses.enter(alice).is_none());
        assert!(addresses.enter(bob).is_some());
        drop(first);
        assert!(addresses.enter(alice).is_some());
        assert!(addresses.open.lock().unwrap().is_empty());
    }

    #[test]
    fn ipv6_addresses_of_one_subscriber_are_limited_together() {
        let block = |text: &str| AddressBlock::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(block("2001:db8::1"), block("2001:db8::ffff:1"));
        assert_ne!(block("2001:db8::1"), block("2001:db8:0:1::1"));
        assert_eq!(block("::ffff:192.0.2.1"), block("192.0.2.1"));
    }
}
