//! XML: what is written is put together by hand, what is read goes through `quick-xml` into types that know S3's elements and no others.

use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;
use serde::de::DeserializeOwned;

use buckets::Code;
use kernel::Problem;

/// S3's name space.
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// An XML document that is being written.
pub struct Xml {
    text: String,
    root: &'static str,
}

impl Xml {
    /// Begins with this root.
    pub fn new(root: &'static str) -> Self {
        Self::within(root, NAMESPACE)
    }

    /// Begins with this root in another name space.
    pub fn within(root: &'static str, namespace: &str) -> Self {
        Self { text: format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{namespace}\">"), root }
    }

    /// A root that holds a text and nothing else.
    pub fn raw(root: &'static str, text: &str) -> Self {
        let mut xml = Self::new(root);
        xml.text.push_str(&escape(text));
        xml
    }

    /// Begins without a name space, as errors are written.
    pub fn plain(root: &'static str) -> Self {
        Self { text: format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root}>"), root }
    }

    /// An element with a text.
    pub fn text(&mut self, name: &str, value: &str) {
        self.text.push('<');
        self.text.push_str(name);
        self.text.push('>');
        for piece in escape(value).chars() {
            match piece {
                // What XML 1.0 has no character for is written as S3 does: clients that expect it ask for `encoding-type=url`.
                control if u32::from(control) < 0x20 => self.text.push_str(&format!("&#x{:x};", u32::from(control))),
                other => self.text.push(other),
            }
        }
        self.close(name);
    }

    /// The same, if there is a text.
    pub fn opt(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// An element with elements.
    pub fn nest(&mut self, name: &str, inner: impl FnOnce(&mut Self)) {
        self.nest_with(name, "", inner);
    }

    /// The same with attributes, which are ours.
    pub fn nest_with(&mut self, name: &str, attributes: &str, inner: impl FnOnce(&mut Self)) {
        self.text.push('<');
        self.text.push_str(name);
        self.text.push_str(attributes);
        self.text.push('>');
        inner(self);
        self.close(name);
    }

    fn close(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }

    /// The whole.
    pub fn finish(mut self) -> String {
        let root = self.root;
        self.close(root);
        self.text
    }
}

/// A document that clients send. Attributes and name spaces are theirs: S3 has none that says anything.
pub trait Document: DeserializeOwned {
    /// The name of its root.
    const ROOT: &'static str;
    /// Every element that it may have, each by its path below the root.
    const ELEMENTS: &'static [&'static str];
}

/// Reads a document. Its size was bounded before; its depth is that of the type. What would be left unread is refused: something else would
/// be done than was asked for.
pub fn parse<T: Document>(bytes: &[u8]) -> Result<T, Problem> {
    let malformed = || {
        Code::MalformedXML.problem("The XML you provided was not well-formed or did not validate against our published schema")
    };
    let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !is_understood::<T>(text) {
        return Err(malformed());
    }
    quick_xml::de::from_str(text).map_err(|_| malformed())
}

/// Whether it is one document of this kind, with no element that is not known.
fn is_understood<T: Document>(text: &str) -> bool {
    let mut reader = Reader::from_str(text);
    let (mut path, mut has_root) = (Vec::<String>::new(), false);
    loop {
        let Ok(event) = reader.read_event() else { return false };
        match &event {
            Event::Start(tag) | Event::Empty(tag) => {
                path.push(String::from_utf8_lossy(tag.local_name().into_inner()).into_owned());
                let is_known = match path.as_slice() {
                    [root] => !has_root && root == T::ROOT,
                    below => T::ELEMENTS.contains(&below.get(1..).unwrap_or_default().join("/").as_str()),
                };
                if !is_known {
                    return false;
                }
                has_root = true;
                if matches!(event, Event::Empty(_)) {
                    path.pop();
                }
            }
            Event::End(_) => drop(path.pop()),
            Event::Text(between) if path.is_empty() && !between.iter().all(u8::is_ascii_whitespace) => return false,
            Event::CData(_) | Event::GeneralRef(_) if path.is_empty() => return false,
            Event::DocType(_) => return false,
            Event::Eof => return has_root && path.is_empty(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Thing {
        #[serde(rename = "Name")]
        name: String,
        #[serde(rename = "Part", default)]
        parts: Vec<i64>,
    }

    impl Document for Thing {
        const ROOT: &'static str = "Thing";
        const ELEMENTS: &'static [&'static str] = &["Name", "Part"];
    }

    #[test]
    fn what_is_written_is_escaped_and_read_back() {
        let mut xml = Xml::new("Thing");
        xml.text("Name", "<a & 'b'>\u{1}");
        xml.text("Part", "1");
        xml.text("Part", "2");
        let text = xml.finish();
        assert!(text.contains("&lt;a &amp; &apos;b&apos;&gt;&#x1;"), "{text}");
        let read: Thing = parse(text.replace("&#x1;", "").as_bytes()).unwrap();
        assert_eq!(read, Thing { name: "<a & 'b'>".to_owned(), parts: vec![1, 2] });
    }

    #[test]
    fn what_is_no_such_document_is_malformed() {
        let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
        let entity = "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><Thing><Name>&e;</Name></Thing>";
        for bad in ["", "x", "<Thing>", "<Thing><Part>x</Part></Thing>", deep.as_str(), entity] {
            assert!(parse::<Thing>(bad.as_bytes()).is_err(), "{}", bad.get(..20.min(bad.len())).unwrap());
        }
        assert!(parse::<Thing>(b"<Thing><Name>\xff</Name></Thing>").is_err());
    }

    #[test]
    fn what_would_be_left_unread_is_malformed() {
        let good = "<Thing><Name>a</Name></Thing>";
        let thing = Thing { name: "a".to_owned(), parts: Vec::new() };
        for same in [
            good.to_owned(),
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- of an SDK -->{good}\n\n"),
            format!("\u{feff}{good}"),
            format!("<Thing xmlns=\"{NAMESPACE}\" id='1'><Name lang=\"en\">a</Name>\n</Thing>"),
            format!("<s:Thing xmlns:s=\"{NAMESPACE}\"><s:Name>a</s:Name></s:Thing>"),
        ] {
            assert_eq!(parse::<Thing>(same.as_bytes()).unwrap(), thing, "{same}");
        }
        for bad in [
            "<Nonsense><Name>a</Name></Nonsense>".to_owned(),
            "<thing><Name>a</Name></thing>".to_owned(),
            format!("{good}{good}"),
            format!("{good}<Thing/>"),
            format!("{good}x"),
            format!("{good}&amp;"),
            format!("{good}<![CDATA[x]]>"),
            format!("x{good}"),
            "<Thing><Name>a</Name><Nmae>b</Nmae></Thing>".to_owned(),
            "<Thing><Name>a</Name><name>b</name></Thing>".to_owned(),
            "<Thing><Name>a<Part>1</Part></Name></Thing>".to_owned(),
            "<Thing><Name>a</Name><Name>b</Name></Thing>".to_owned(),
            "<Thing><Name>a</Name><Thing/></Thing>".to_owned(),
            format!("<!DOCTYPE Thing>{good}"),
        ] {
            assert!(parse::<Thing>(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
