//! Whether a program is static: it asks for no interpreter and no library.

/// Program headers that tell.
const DYNAMIC: u32 = 2;
const INTERPRETER: u32 = 3;
/// The entry of a dynamic section that names a library.
const NEEDED: u64 = 1;

/// Why this program (ELF, 64 bit, little endian) is not static; `None`: it is.
pub(super) fn not_static(bytes: &[u8]) -> Option<String> {
    match look(bytes) {
        Some(found) => found,
        None => Some("not an ELF program of 64 bit, or cut short".into()),
    }
}

fn look(bytes: &[u8]) -> Option<Option<String>> {
    if bytes.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let start = usize::try_from(number::<8>(bytes, 32)?).ok()?;
    let size = usize::try_from(number::<2>(bytes, 54)?).ok()?;
    let count = usize::try_from(number::<2>(bytes, 56)?).ok()?;
    for header in (0..count).map(|n| start + n * size) {
        let kind = u32::try_from(number::<4>(bytes, header)?).ok()?;
        let offset = usize::try_from(number::<8>(bytes, header + 8)?).ok()?;
        let length = usize::try_from(number::<8>(bytes, header + 32)?).ok()?;
        let part = bytes.get(offset..offset.checked_add(length)?)?;
        if kind == INTERPRETER {
            let name = String::from_utf8_lossy(part);
            return Some(Some(format!("it asks for {}", name.trim_end_matches('\0'))));
        }
        let needs = |entry: &[u8]| number::<8>(entry, 0) == Some(NEEDED);
        if kind == DYNAMIC && part.chunks_exact(16).any(needs) {
            return Some(Some("it asks for a shared library".into()));
        }
    }
    Some(None)
}

/// The number in `N` bytes.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let part = bytes.get(at..at.checked_add(N)?)?;
    Some(part.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program with one program header, and what that names at its end.
    fn program(kind: u32, part: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64..68].copy_from_slice(&kind.to_le_bytes());
        bytes[72] = 64 + 56;
        bytes[96] = u8::try_from(part.len()).unwrap();
        bytes.extend(part);
        bytes
    }

    #[test]
    fn what_needs_nothing_is_static() {
        assert_eq!(not_static(&program(1, b"code")), None);
        // A static program that may lie anywhere has a dynamic section, which names no library.
        assert_eq!(not_static(&program(DYNAMIC, &[0x15; 32])), None);
    }

    #[test]
    fn what_needs_something_is_not() {
        assert_eq!(not_static(&program(INTERPRETER, b"/lib/ld\0")).unwrap(), "it asks for /lib/ld");
        let mut needed = [0; 32];
        needed[16] = 1;
        assert!(not_static(&program(DYNAMIC, &needed)).unwrap().contains("shared library"));
        assert!(not_static(&std::fs::read(std::env::current_exe().unwrap()).unwrap()).is_some());
    }

    #[test]
    fn what_is_broken_is_not() {
        let whole = program(INTERPRETER, b"/lib/ld\0");
        for length in 0..whole.len() {
            assert!(not_static(&whole[..length]).is_some(), "{length}");
        }
    }
}
