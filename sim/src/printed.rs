//! Values as texts that are the same in every run: a value's debug text goes in, with the entries of its maps in any
//! order and its handles closed; out comes one with the entries in order and the handles open.

use ff_core::backend::HandleOpaque;
use ff_core::handle_codec;

/// A text in which maps stand in order and handles are open.
pub fn shown(text: &str) -> String {
    opened(&in_order(text))
}

/// A text in which the entries of every `{"key": …}` map stand in order: hash maps print in any.
pub fn in_order(text: &str) -> String {
    let Some(start) = text.find("{\"") else { return text.to_owned() };
    let Some(length) = closing(&text[start..]) else { return text.to_owned() };
    let inside = &text[start + 1..start + length];
    let mut entries = split_entries(inside);
    entries.sort_unstable();
    format!("{}{{{}}}{}", &text[..start], entries.join(", "), in_order(&text[start + length + 1..]))
}

/// Where the brace that opens a text is closed.
fn closing(text: &str) -> Option<usize> {
    depths(text).find(|(_, byte, depth)| *byte == b'}' && *depth == 0).map(|(at, _, _)| at)
}

fn split_entries(text: &str) -> Vec<&str> {
    let commas: Vec<usize> =
        depths(text).filter(|(_, byte, depth)| *byte == b',' && *depth == 0).map(|(at, _, _)| at).collect();
    let mut entries = Vec::with_capacity(commas.len() + 1);
    let mut from = 0;
    for comma in commas {
        entries.push(text[from..comma].trim());
        from = comma + 1;
    }
    entries.push(text[from..].trim());
    entries
}

/// Bytes outside of quotes, with the depth of brackets after them.
fn depths(text: &str) -> impl Iterator<Item = (usize, u8, usize)> + '_ {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    text.bytes().enumerate().filter_map(move |(at, byte)| {
        if quoted {
            (escaped, quoted) = (byte == b'\\' && !escaped, byte != b'"' || escaped);
            return None;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        Some((at, byte, depth))
    })
}

/// A text in which handles show what is in them.
pub fn opened(text: &str) -> String {
    const BEGINS: &str = "HandleOpaque([";
    let Some((before, rest)) = text.split_once(BEGINS) else { return text.to_owned() };
    let Some((bytes, after)) = rest.split_once("])") else { return text.to_owned() };
    let parsed: Result<Vec<u8>, _> = bytes.split(", ").map(str::parse).collect();
    let payload = parsed.ok().and_then(|bytes| handle_codec::decode(&HandleOpaque::new(bytes.into())).ok());
    let shown = payload.map_or_else(|| "unreadable".to_owned(), |decoded| format!("{:?}", decoded.payload));
    format!("{before}{shown}{}", opened(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_print_in_order_whatever_they_hold() {
        let text = r#"Context { payload: [1], tags: {"b": "x, \"y\"}", "a": "1"}, kind: "k" }"#;
        assert_eq!(in_order(text), r#"Context { payload: [1], tags: {"a": "1", "b": "x, \"y\"}"}, kind: "k" }"#);
    }

    #[test]
    fn what_is_no_handle_is_left_as_it_is() {
        assert_eq!(opened("plain"), "plain");
        assert_eq!(opened("x HandleOpaque([1, 2]) y"), "x unreadable y");
    }
}
