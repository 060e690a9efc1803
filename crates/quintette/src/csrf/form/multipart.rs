use super::parameters::parameter;

/// A part's head is shorter; Django refuses a longer one.
const LONGEST_HEAD: usize = 8_192;

/// Looks for a field in a multipart form that is still being read. It remembers how far it has come: whatever size the
/// pieces have, each byte is looked at once.
#[derive(Debug)]
pub(in crate::csrf) struct Scan {
    /// A line end, two hyphens, and the boundary.
    delimiter: Vec<u8>,
    /// Where the present part begins; `None` before the first.
    part: Option<usize>,
    /// Up to here there is no further delimiter.
    searched: usize,
}

impl Scan {
    /// `None` where the header has no boundary, or none that a boundary can be.
    pub(super) fn new(content_type: &str) -> Option<Self> {
        let boundary = parameter(content_type, "boundary")?;
        let fit = boundary.len() <= 201
            && boundary.bytes().all(|byte| (b' '..=b'~').contains(&byte))
            && !boundary.is_empty()
            && !boundary.ends_with(' ');
        fit.then(|| Self {
            delimiter: [b"\r\n--", boundary.as_bytes()].concat(),
            part: None,
            searched: 0,
        })
    }

    /// The next field of this name that is whole in what has been read; call it again for further ones. `read` is the
    /// form from its beginning, and never shorter than before.
    pub(super) fn next_field(&mut self, read: &[u8], name: &str) -> Option<String> {
        loop {
            let (start, end) = self.delimiter_in(read)?;
            let part = self.part.replace(end);
            let part = part.and_then(|part| read.get(part..start));
            if let Some(value) = part.and_then(|part| field(part, name)) {
                return Some(value);
            }
        }
    }

    fn delimiter_in(&mut self, read: &[u8]) -> Option<(usize, usize)> {
        // The first one needs no line end in front.
        let first = &self.delimiter[2..];
        if self.part.is_none() && self.searched == 0 && read.starts_with(first) {
            self.searched = first.len();
            return Some((0, first.len()));
        }
        if let Some(start) = find(&self.delimiter, read, self.searched) {
            self.searched = start + self.delimiter.len();
            return Some((start, self.searched));
        }
        // The beginning of one may be there. Before the first part, so may be the whole form's beginning.
        let next = read.len().saturating_sub(self.delimiter.len() - 1);
        if next > self.searched && read.len() >= first.len() {
            self.searched = next;
        }
        None
    }
}

/// Where the delimiter is, from `start` on. A line end is nowhere in it but at its beginning, so that this takes as long
/// as the text, whatever an attacker puts there.
fn find(delimiter: &[u8], text: &[u8], mut start: usize) -> Option<usize> {
    loop {
        let rest = text.get(start..)?;
        let at = start + rest.iter().position(|byte| *byte == b'\r')?;
        if text[at..].starts_with(delimiter) {
            return Some(at);
        }
        start = at + 1;
    }
}

/// The value of a part, where it is a field of this name and no file.
fn field(part: &[u8], name: &str) -> Option<String> {
    // What is left of the delimiter's line.
    let part = part.strip_prefix(b"\r\n")?;
    let longest = part.len().min(LONGEST_HEAD);
    let head = part[..longest]
        .windows(4)
        .position(|window| window == b"\r\n\r\n")?;
    let value = &part[head + 4..];
    let head = std::str::from_utf8(&part[..head]).ok()?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim()
            .eq_ignore_ascii_case("content-disposition")
            .then_some(value)
    })?;
    let is_file = parameter(disposition, "filename").is_some_and(|name| !name.is_empty());
    let is_named = parameter(disposition, "name").is_some_and(|found| found.trim() == name);
    (is_named && !is_file).then(|| String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAME: &str = "csrfmiddlewaretoken";

    fn scan() -> Scan {
        Scan::new("multipart/form-data; boundary=\"x y\"").unwrap()
    }

    fn part(disposition: &str, value: &str) -> String {
        format!("--x y\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
    }

    fn found(form: &str) -> Vec<String> {
        let mut scan = scan();
        std::iter::from_fn(|| scan.next_field(form.as_bytes(), NAME)).collect()
    }

    #[test]
    fn the_field_is_found_among_others() {
        let token = part("name=\"csrfmiddlewaretoken\"", "abc");
        let other = part("name=\"other\"", "csrfmiddlewaretoken");
        let end = "--x y--\r\n";
        assert_eq!(found(&format!("{token}{end}")), ["abc"]);
        assert_eq!(
            found(&format!("preamble\r\n{other}{token}{other}{end}")),
            ["abc"]
        );
        assert_eq!(
            found(&format!("{token}{other}{token}{end}")),
            ["abc", "abc"]
        );
        assert_eq!(found(&format!("{other}{end}")), [""; 0]);
        assert_eq!(found(&token), [""; 0], "it may go on");
    }

    #[test]
    fn only_a_field_of_the_name_counts() {
        for (disposition, counts) in [
            ("name=csrfmiddlewaretoken", true),
            ("filename=\"\"; name=\"csrfmiddlewaretoken\"", true),
            ("name=\"csrfmiddlewaretoken\"; filename=\"a\"", false),
            ("name=\"xcsrfmiddlewaretoken\"", false),
            ("name=\"x; name=csrfmiddlewaretoken\"", false),
            ("", false),
        ] {
            let form = format!("{}--x y--", part(disposition, "abc"));
            assert_eq!(found(&form) == ["abc"], counts, "{disposition}");
        }
        assert_eq!(
            found("--x y\r\nname=csrfmiddlewaretoken\r\n\r\nabc\r\n--x y"),
            [""; 0]
        );
        let long = format!("name=csrfmiddlewaretoken; x={}", "y".repeat(LONGEST_HEAD));
        assert_eq!(found(&format!("{}--x y", part(&long, "abc"))), [""; 0]);
    }

    #[test]
    fn a_boundary_is_one_that_django_takes() {
        for bad in [
            "",
            "; boundary=",
            "; boundary=\"a \"",
            "; boundary=\"é\"",
            "; x=y",
        ] {
            assert!(
                Scan::new(&format!("multipart/form-data{bad}")).is_none(),
                "{bad}"
            );
        }
        for (length, fit) in [(201, true), (202, false)] {
            let header = format!("multipart/form-data; boundary={}", "x".repeat(length));
            assert_eq!(Scan::new(&header).is_some(), fit);
        }
    }

    proptest! {
        #[test]
        fn the_pieces_it_comes_in_do_not_matter(
            pieces in prop::collection::vec(0_usize..7, 0..200),
            preamble in "[-x y\r\n]{0,20}",
            value in "[-x\r\n]{0,20}",
        ) {
            let form = format!(
                "{preamble}\r\n{}{}--x y--",
                part("name=\"a\"", &value),
                part("name=\"csrfmiddlewaretoken\"", "abc")
            );
            let mut scan = scan();
            let (mut read, mut values) = (0, Vec::new());
            for piece in pieces.into_iter().chain([form.len()]) {
                read = (read + piece).min(form.len());
                values.extend(std::iter::from_fn(|| scan.next_field(&form.as_bytes()[..read], NAME)));
            }
            prop_assert_eq!(values, found(&form));
        }

        #[test]
        fn nothing_that_is_sent_is_a_panic(
            form in "(--x y|\r\n|Content-Disposition: |form-data|; |name=|csrfmiddlewaretoken|\"|:|--|é){0,40}",
            bytes: Vec<u8>,
            header in "multipart/form-data(; |boundary|=|\"|\\\\|x|é){0,9}",
        ) {
            found(&form);
            scan().next_field(&bytes, NAME);
            if let Some(mut scan) = Scan::new(&header) {
                scan.next_field(&bytes, NAME);
                scan.next_field(form.as_bytes(), NAME);
            }
        }
    }
}
