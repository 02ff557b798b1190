//! Rust source as identifiers and punctuation, without comments, literals and test code.

/// Splits source text into tokens; `::` is one token, and items under `#[cfg(test)]` are left out.
pub(super) fn tokens(source: &str) -> Vec<String> {
    without_tests(scan(source))
}

fn scan(source: &str) -> Vec<String> {
    let text: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        let next = text.get(at + 1).copied().unwrap_or(' ');
        match c {
            '/' if next == '/' => at = line_end(&text, at),
            '/' if next == '*' => at = comment_end(&text, at),
            '"' => at = string_end(&text, at + 1),
            '\'' => at = char_or_lifetime_end(&text, at),
            ':' if next == ':' => {
                tokens.push("::".to_owned());
                at += 2;
            }
            c if is_word(c) => {
                let end = word_end(&text, at);
                let word: String = text[at..end].iter().collect();
                let follower = text.get(end).copied().unwrap_or(' ');
                at = match (word.as_str(), follower) {
                    ("r" | "br" | "cr", '"' | '#') => raw_end(&text, end),
                    ("b" | "c", '"') => string_end(&text, end + 1),
                    ("b", '\'') => char_or_lifetime_end(&text, end),
                    _ => {
                        tokens.push(word);
                        end
                    }
                };
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(c.to_string());
                }
                at += 1;
            }
        }
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word_end(text: &[char], mut at: usize) -> usize {
    while text.get(at).is_some_and(|&c| is_word(c)) {
        at += 1;
    }
    at
}

fn line_end(text: &[char], mut at: usize) -> usize {
    while text.get(at).is_some_and(|&c| c != '\n') {
        at += 1;
    }
    at
}

fn comment_end(text: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => depth += 1,
            ('*', Some('/')) => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_end(text: &[char], mut at: usize) -> usize {
    while let Some(&c) = text.get(at) {
        match c {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// Behind `r`: hashes, the quoted text and as many hashes, or a raw identifier.
fn raw_end(text: &[char], at: usize) -> usize {
    let hashes = text[at..].iter().take_while(|&&c| c == '#').count();
    if text.get(at + hashes) != Some(&'"') {
        return at + hashes;
    }
    let mut close = vec!['"'];
    close.extend(std::iter::repeat_n('#', hashes));
    let body = at + hashes + 1;
    let length = text[body..].windows(close.len()).position(|window| window == close);
    length.map_or(text.len(), |length| body + length + close.len())
}

fn char_or_lifetime_end(text: &[char], at: usize) -> usize {
    match (text.get(at + 1), text.get(at + 2)) {
        (Some('\\'), _) => {
            let close = text[at + 3..].iter().position(|&c| c == '\'');
            close.map_or(text.len(), |length| at + 3 + length + 1)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => word_end(text, at + 1),
    }
}

fn without_tests(tokens: Vec<String>) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].iter().take(MARK.len()).eq(MARK.iter()) {
            at = item_end(&tokens, at + MARK.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// The end of an item: its `;`, or the brace that closes its body.
fn item_end(tokens: &[String], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" if depth == 1 => return at,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            ";" if depth == 0 => return at,
            _ => {}
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_literals_and_tests_are_left_out() {
        let source = r##"
            /// See [`crate::a`]. /* */
            fn f<'a>(x: &'a str) { g("crate::b", 'c', '\'', r#"crate::"d""#, b"e"); /* h /* i */ */ k() }
            #[cfg(test)]
            mod tests { use super::*; fn t() {} }
            use crate::z;
        "##;
        let found = tokens(source).join(" ");
        assert_eq!(found, "fn f < > ( x : & str ) { g ( , , , , ) ; k ( ) } use crate :: z ;");
    }
}
