//! JSON strings, written fast.
//!
//! Answer text is escaped once for every delta, and most of it needs no escape. serde_json looks
//! at each byte by itself; here a stretch without escapes is found with a test that the compiler
//! turns into vector instructions, and copied whole.

/// How many bytes are tested at once.
const STRETCH: usize = 64;

/// Appends `text` as a JSON string, quotes included.
pub fn write_json_str(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    for stretch in text.as_bytes().chunks(STRETCH) {
        if stretch
            .iter()
            .fold(false, |any, byte| any | must_escape(*byte))
        {
            stretch.iter().for_each(|byte| write_byte(*byte, out));
        } else {
            out.extend_from_slice(stretch);
        }
    }
    out.push(b'"');
}

fn must_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn write_byte(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ if byte < 0x20 => {
            out.extend_from_slice(b"\\u00");
            out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            return;
        }
        _ => {
            out.push(byte);
            return;
        }
    };
    out.extend([b'\\', short]);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_serde_json_writes_it(text in "(?s).{0,300}") {
            let mut out = Vec::new();
            write_json_str(&text, &mut out);
            prop_assert_eq!(out, serde_json::to_vec(&text).unwrap());
        }
    }

    #[test]
    fn every_ascii_character() {
        let text: String = (0..128u8).map(char::from).collect();
        let mut out = Vec::new();
        write_json_str(&text, &mut out);
        assert_eq!(out, serde_json::to_vec(&text).unwrap());
    }
}
