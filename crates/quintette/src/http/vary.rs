use http::{HeaderMap, HeaderValue, header};

/// Django's `patch_vary_headers`: one header, what was there first, `*` stays alone.
pub(crate) fn vary_on_cookie(headers: &mut HeaderMap) {
    let varies: Vec<String> = headers
        .get_all(header::VARY)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|field| field.trim().to_owned())
        .filter(|field| !field.is_empty())
        .collect();
    if varies.is_empty() {
        headers.insert(header::VARY, HeaderValue::from_static("Cookie"));
    } else if varies.iter().any(|field| field == "*") {
        headers.insert(header::VARY, HeaderValue::from_static("*"));
    } else if !varies
        .iter()
        .any(|field| field.eq_ignore_ascii_case("cookie"))
    {
        let joined = format!("{}, Cookie", varies.join(", "));
        headers.insert(
            header::VARY,
            HeaderValue::try_from(joined).expect("made of header values"),
        );
    }
}
