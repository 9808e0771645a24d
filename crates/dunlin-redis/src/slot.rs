//! Hash slots of a cluster: which one a key belongs to, and a key for any of them.

/// How many slots a cluster has.
const SLOTS: u16 = 16384;

/// The slot of a key: of the part between the first `{` and the next `}`, if there is anything between them.
pub(crate) fn of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    crc(tag.unwrap_or(key)) % SLOTS
}

/// A number that makes a text belong to a slot.
pub(crate) fn number(text: &str, slot: u16) -> u32 {
    (0..100_000_000)
        .find(|number| crc(format!("{text}{number}").as_bytes()) % SLOTS == slot)
        .expect("numbers reach every slot, most of them within six digits")
}

/// CRC-16/XMODEM, as the cluster specification defines it.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc(b"123456789"), 0x31c3);
        assert_eq!(of(b"foo"), 12182);
        assert_eq!(of(b"{user1000}.following"), of(b"{user1000}.followers"));
        assert_eq!(of(b"foo{}{bar}"), crc(b"foo{}{bar}") % SLOTS);
        assert_eq!(of(b"foo{{bar}}zap"), crc(b"{bar") % SLOTS);
    }

    #[test]
    fn every_slot_has_a_number() {
        for slot in [0, 1, 5460, 5461, 16383] {
            assert_eq!(of(format!("{{a-{}}}:b", number("a-", slot)).as_bytes()), slot);
        }
    }
}
