//! Whether a label looks drawn at random: letter pairs that names hardly have, or letters and digits in turn.
//!
//! The pairs are those which make up less than one in 5 000 of the pairs in each of eleven word lists (Danish, Dutch,
//! English, French, German, Italian, Norwegian, Polish, Portuguese, Spanish, Swedish) and in the names of 200 000 software
//! packages; without those of names in Pinyin and other transcriptions. Two of them are in 5 of 10 000 Dutch words of
//! eight letters and more and in fewer of the other languages, in 6 of 1 000 packages' names, and in 4 of 10 random
//! strings of eight letters, 7 of 10 of sixteen.

/// Behind each letter, from a to z, those that hardly ever follow it.
const RARE: [&[u8]; 26] = [
    b"",
    b"fkqvx",
    b"bgnvw",
    b"qx",
    b"",
    b"chkmnpqwx",
    b"",
    b"cdfhpqx",
    b"",
    b"bhjqrwxy",
    b"mqxz",
    b"q",
    b"jqwxz",
    b"",
    b"",
    b"qwxz",
    b"bcdfghjkmnprsvwxz",
    b"x",
    b"x",
    b"q",
    b"q",
    b"bcfhjmpqwxyz",
    b"bdfgjmqtvwx",
    b"bdfghjklmnqrswz",
    b"qxy",
    b"fqvx",
];

/// Rare pairs in one label that no name has by accident.
const PAIRS: usize = 2;
/// Changes between letters and digits likewise.
const TURNS: usize = 6;

/// Whether a label in lower case looks random. Labels with other signs, and hexadecimal numbers, do not: clouds, clusters
/// and containers name their machines so.
pub(super) fn looks_random(label: &[u8]) -> bool {
    let plain = label.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !plain || label.iter().all(u8::is_ascii_hexdigit) {
        return false;
    }
    let pairs = || label.iter().zip(label.iter().skip(1));
    let rare = pairs().filter(|(a, b)| is_rare(**a, **b)).count();
    let turns = pairs().filter(|(a, b)| a.is_ascii_digit() != b.is_ascii_digit()).count();
    rare >= PAIRS || turns >= TURNS
}

fn is_rare(a: u8, b: u8) -> bool {
    let row = a.checked_sub(b'a').and_then(|row| RARE.get(usize::from(row)));
    row.is_some_and(|row| row.contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_or_not() {
        for (label, expected) in [
            ("xkqjzvbt", true),
            ("qhwzfxkd", true),
            ("vbnqwxjk", true),
            ("a8k2m9q4w1z5", true),
            ("mail", false),
            ("outbound1smtp17", false),
            ("schlossgeschichtsschreiber", false),
            ("guangzhou", false),
            ("xiaoqiang", false),
            ("srv000123", false),
            ("vmi1234567", false),
            ("win2k12r2", false),
            ("3f4e5a6b7c8d", false),
            ("ip-10-0-0-1", false),
            ("i-0abc12de34f", false),
            ("web-7d9f8b6c5d-x2x4z", false),
            ("desktop-1a2b3c4", false),
            ("", false),
        ] {
            assert_eq!(looks_random(label.as_bytes()), expected, "{label}");
        }
    }
}
