//! A second verifier of access tokens, simple and slow, that the other is compared with.
//!
//! It shares no code with the crate: base64url by division, JSON by recursive descent, the signature through another
//! API of aws-lc-rs, and the rules one by one as in `guide::rules`. Both must accept the same tokens.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

/// A reference verifier for one pool.
pub(crate) struct Reference {
    pub(crate) kid: String,
    /// The public key in DER (PKCS #1).
    pub(crate) public_key: Vec<u8>,
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) clock_skew: i128,
}

impl Reference {
    /// Whether this access token must be accepted at this time.
    pub(crate) fn accepts(&self, raw: &str, now: i128) -> bool {
        self.judge(raw, now).is_some()
    }

    fn judge(&self, raw: &str, now: i128) -> Option<()> {
        ensure(raw.len() <= 16 * 1024)?;
        let parts: Vec<&str> = raw.split('.').collect();
        let [header, payload, signature] = parts[..] else { return None };
        let input = format!("{header}.{payload}");

        let header = members(&base64url(header)?)?;
        ensure(get(&header, "alg")?.text()? == "RS256")?;
        for rejected in ["crit", "b64", "zip", "enc"] {
            ensure(get(&header, rejected).is_none())?;
        }
        if let Some(typ) = get(&header, "typ") {
            ensure(["jwt", "at+jwt"].contains(&typ.text()?.to_lowercase().as_str()))?;
        }
        ensure(get(&header, "kid")?.text()? == self.kid)?;

        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public_key);
        key.verify(input.as_bytes(), &base64url(signature)?).ok()?;

        let claims = members(&base64url(payload)?)?;
        ensure(get(&claims, "iss")?.text()? == self.issuer)?;
        ensure(get(&claims, "token_use")?.text()? == "access")?;
        ensure(get(&claims, "client_id")?.text()? == self.client_id)?;
        ensure(get(&claims, "aud").is_none())?;

        let (exp, iat) = (get(&claims, "exp")?.integer()?, get(&claims, "iat")?.integer()?);
        ensure(exp > iat && exp - iat <= 24 * 60 * 60 + self.clock_skew)?;
        ensure(now < exp + self.clock_skew && iat <= now + self.clock_skew)?;
        if let Some(nbf) = get(&claims, "nbf") {
            ensure(nbf.integer()? <= now + self.clock_skew)?;
        }
        if let Some(auth_time) = get(&claims, "auth_time") {
            auth_time.integer()?;
        }
        ensure(get(&claims, "cnf").is_none())?;
        for text in ["sub", "username", "scope", "jti", "origin_jti"] {
            if let Some(claim) = get(&claims, text) {
                claim.text()?;
            }
        }
        ensure(get(&claims, "username").is_none() || get(&claims, "sub").is_some())?;
        if let Some(sub) = get(&claims, "sub") {
            ensure(!sub.text()?.is_empty())?;
        }
        if let Some(groups) = get(&claims, "cognito:groups") {
            let Json::Array(groups) = groups else { return None };
            for group in groups {
                group.text()?;
            }
        }
        Some(())
    }
}

fn ensure(condition: bool) -> Option<()> {
    condition.then_some(())
}

/// Decodes canonical base64url without padding.
fn base64url(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = Vec::new();
    for symbol in text.chars() {
        let value = ALPHABET.find(symbol)?;
        bits.extend((0..6).rev().map(|bit| value >> bit & 1));
    }
    let rest = bits.split_off(bits.len() / 8 * 8);
    ensure(rest.len() < 6 && rest.iter().all(|&bit| bit == 0))?;
    Some(bits.chunks(8).map(|byte| byte.iter().fold(0, |byte, &bit| byte << 1 | bit as u8)).collect())
}

/// JSON with unparsed numbers, and strings in UTF-16, because they can contain half a surrogate pair.
enum Json {
    Null,
    Bool,
    Number(String),
    String(Vec<u16>),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    fn text(&self) -> Option<String> {
        if let Self::String(units) = self { String::from_utf16(units).ok() } else { None }
    }

    /// Parses a time: digits only, before the year 10000.
    fn integer(&self) -> Option<i128> {
        let Self::Number(number) = self else { return None };
        ensure(number.len() <= 20 && number.bytes().all(|byte| byte.is_ascii_digit()))?;
        number.parse().ok().filter(|&number| number < 253_402_300_800)
    }
}

/// Parses an object whose members are all different.
fn members(json: &[u8]) -> Option<Vec<(String, Json)>> {
    let text: Vec<char> = std::str::from_utf8(json).ok()?.chars().collect();
    let mut parser = Parser { text, position: 0 };
    let value = parser.value()?;
    parser.skip_space();
    ensure(parser.position == parser.text.len())?;
    let Json::Object(members) = value else { return None };
    for (index, (name, _)) in members.iter().enumerate() {
        ensure(members.iter().skip(index + 1).all(|(other, _)| other != name))?;
    }
    Some(members)
}

fn get<'a>(members: &'a [(String, Json)], name: &str) -> Option<&'a Json> {
    members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
}

struct Parser {
    text: Vec<char>,
    position: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.position).copied()
    }

    fn next(&mut self) -> Option<char> {
        self.position += 1;
        self.text.get(self.position - 1).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|next| " \t\r\n".contains(next)) {
            self.position += 1;
        }
    }

    fn expect(&mut self, text: &str) -> Option<()> {
        for expected in text.chars() {
            ensure(self.next()? == expected)?;
        }
        Some(())
    }

    fn value(&mut self) -> Option<Json> {
        self.skip_space();
        match self.peek()? {
            '{' => self.object(),
            '[' => self.array(),
            '"' => self.string().map(Json::String),
            'n' => self.expect("null").map(|()| Json::Null),
            't' => self.expect("true").map(|()| Json::Bool),
            'f' => self.expect("false").map(|()| Json::Bool),
            _ => self.number().map(Json::Number),
        }
    }

    fn object(&mut self) -> Option<Json> {
        self.expect("{")?;
        let mut members = Vec::new();
        self.skip_space();
        if self.peek()? == '}' {
            return self.expect("}").map(|()| Json::Object(members));
        }
        loop {
            self.skip_space();
            let name = String::from_utf16(&self.string()?).ok()?;
            self.skip_space();
            self.expect(":")?;
            members.push((name, self.value()?));
            self.skip_space();
            match self.next()? {
                ',' => {}
                '}' => return Some(Json::Object(members)),
                _ => return None,
            }
        }
    }

    fn array(&mut self) -> Option<Json> {
        self.expect("[")?;
        let mut values = Vec::new();
        self.skip_space();
        if self.peek()? == ']' {
            return self.expect("]").map(|()| Json::Array(values));
        }
        loop {
            values.push(self.value()?);
            self.skip_space();
            match self.next()? {
                ',' => {}
                ']' => return Some(Json::Array(values)),
                _ => return None,
            }
        }
    }

    fn string(&mut self) -> Option<Vec<u16>> {
        self.expect("\"")?;
        let mut units: Vec<u16> = Vec::new();
        loop {
            match self.next()? {
                '"' => return Some(units),
                '\\' => units.push(self.escape()?),
                control if control < ' ' => return None,
                other => units.extend(other.encode_utf16(&mut [0; 2]).iter()),
            }
        }
    }

    fn escape(&mut self) -> Option<u16> {
        let unit = match self.next()? {
            'b' => 8,
            't' => 9,
            'n' => 10,
            'f' => 12,
            'r' => 13,
            'u' => {
                let digits = (0..4).map(|_| self.next()?.to_digit(16)).collect::<Option<Vec<_>>>()?;
                return digits
                    .iter()
                    .try_fold(0_u16, |unit, &digit| Some(unit << 4 | u16::try_from(digit).ok()?));
            }
            literal @ ('"' | '\\' | '/') => literal as u16,
            _ => return None,
        };
        Some(unit)
    }

    fn number(&mut self) -> Option<String> {
        let start = self.position;
        self.skip_one('-');
        if self.skip_one('0') == 0 {
            ensure(self.skip_digits() > 0)?;
        }
        if self.skip_one('.') > 0 {
            ensure(self.skip_digits() > 0)?;
        }
        if self.skip_one('e') + self.skip_one('E') > 0 {
            let _ = self.skip_one('+') + self.skip_one('-');
            ensure(self.skip_digits() > 0)?;
        }
        Some(self.text[start..self.position].iter().collect())
    }

    fn skip_one(&mut self, symbol: char) -> usize {
        let found = self.peek() == Some(symbol);
        self.position += usize::from(found);
        usize::from(found)
    }

    fn skip_digits(&mut self) -> usize {
        let start = self.position;
        while self.peek().is_some_and(|next| next.is_ascii_digit()) {
            self.position += 1;
        }
        self.position - start
    }
}
