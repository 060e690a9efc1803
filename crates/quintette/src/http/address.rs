use std::net::{IpAddr, SocketAddr};

use quintette_core::settings::Settings;

use super::RequestHead;

/// The address of a request's visitor, put into the request's extensions by whoever knows it better than the connection does.
///
/// With axum, serve `app.into_make_service_with_connect_info::<SocketAddr>()`, and the address of the connection is known
/// without it. Behind a proxy, set `CLIENT_ADDRESS_HEADER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl RequestHead<'_> {
    /// The visitor's address, where it is known. Django's `request.META["REMOTE_ADDR"]`.
    ///
    /// It is the last address in the header that `CLIENT_ADDRESS_HEADER` names, where that is set: a proxy appends what it
    /// sees, and what stands before is the visitor's own to invent. Otherwise [`ClientAddress`], otherwise axum's `ConnectInfo`.
    ///
    /// An address of IPv4 that a socket for both kinds writes as one of IPv6 (`::ffff:192.0.2.1`) is that of IPv4.
    pub fn client_address(&self, settings: &Settings) -> Option<IpAddr> {
        self.address(settings).map(|address| address.to_canonical())
    }

    fn address(&self, settings: &Settings) -> Option<IpAddr> {
        if let Some(name) = &settings.client_address_header {
            let header = self.headers.get_all(name).iter().next_back()?;
            let last = header.to_str().ok()?.rsplit(',').next()?.trim();
            // Some proxies write the port behind it.
            let with_port = || last.parse::<SocketAddr>().ok().map(|socket| socket.ip());
            return last.parse().ok().or_else(with_port);
        }
        if let Some(ClientAddress(address)) = self.extensions.get() {
            return Some(*address);
        }
        self.peer()
    }

    #[cfg(feature = "axum")]
    fn peer(&self) -> Option<IpAddr> {
        use axum::extract::ConnectInfo;

        let peer = self.extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(peer.0.ip())
    }

    #[cfg(not(feature = "axum"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    fn peer(&self) -> Option<IpAddr> {
        None
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn only_what_the_nearest_proxy_said_is_believed() {
        let mut settings = Settings::new("a secret");
        let mut request = Request::new(());
        request
            .extensions_mut()
            .insert(ClientAddress([10, 0, 0, 1].into()));
        let headers = request.headers_mut();
        headers.append("x-forwarded-for", "6.6.6.6".parse().unwrap());
        headers.append("x-forwarded-for", "7.7.7.7, 192.0.2.9".parse().unwrap());
        let address = |request: &Request<()>, settings: &Settings| {
            RequestHead::from(request)
                .client_address(settings)
                .map(|address| address.to_string())
        };
        assert_eq!(address(&request, &settings).as_deref(), Some("10.0.0.1"));
        settings.client_address_header = Some("x-forwarded-for".to_owned());
        assert_eq!(address(&request, &settings).as_deref(), Some("192.0.2.9"));
        for (header, expected) in [
            ("::ffff:192.0.2.9", Some("192.0.2.9")),
            ("192.0.2.9:4711", Some("192.0.2.9")),
            ("[2001:db8::9]:4711", Some("2001:db8::9")),
            ("192.0.2.9, unknown", None),
            ("", None),
        ] {
            let value = header.parse().unwrap();
            request.headers_mut().insert("x-forwarded-for", value);
            assert_eq!(
                address(&request, &settings).as_deref(),
                expected,
                "{header}"
            );
        }
        request.headers_mut().clear();
        assert_eq!(address(&request, &settings), None);
    }
}
