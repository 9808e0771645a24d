//! Hash slots of a cluster: which one a key belongs to, and a key for any of them.

use std::sync::LazyLock;

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

/// Six digits that, put behind a text, make it belong to a slot.
///
/// The sum of two texts joined is the sum of the first, followed by as many zero bytes as the second is long, xored with
/// the sum of the second. So one table of suffixes serves every text.
pub(crate) fn digits(text: &str, slot: u16) -> String {
    static SUFFIXES: LazyLock<Vec<u32>> = LazyLock::new(suffixes);
    let mut padded = text.as_bytes().to_vec();
    padded.extend([0; DIGITS]);
    let wanted = (crc(&padded) ^ slot) % SLOTS;
    format!("{:06}", SUFFIXES[usize::from(wanted)])
}

const DIGITS: usize = 6;

/// For every sum modulo the number of slots, the first number whose six digits have it.
fn suffixes() -> Vec<u32> {
    let mut suffixes = vec![u32::MAX; usize::from(SLOTS)];
    let mut missing = suffixes.len();
    for number in 0..1_000_000_u32 {
        let slot = usize::from(crc(format!("{number:06}").as_bytes()) % SLOTS);
        if suffixes[slot] == u32::MAX {
            suffixes[slot] = number;
            missing -= 1;
        }
        if missing == 0 {
            break;
        }
    }
    suffixes
}

/// CRC-16/XMODEM, as the cluster specification defines it.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| (crc << 8) ^ TABLE[usize::from((crc >> 8) ^ u16::from(*byte))])
}

/// What each byte does to a sum.
const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte: u16 = 0;
    while byte < 256 {
        let mut crc = byte << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
};

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
    fn every_slot_has_digits() {
        for slot in 0..SLOTS {
            assert_eq!(of(format!("{{a-{}}}:b", digits("a-", slot)).as_bytes()), slot);
        }
    }
}
