use super::{Context, Inspector, Interest, Message, Packet, Verdict};
use crate::packet::IpProtocol;
use crate::protocol;

/// An inspector made of a closure that sees the messages of one kind.
macro_rules! message_fn {
    (
        $(#[$of_function:meta])* fn $function:ident;
        $(#[$of_type:meta])* struct $type:ident;
        $variant:ident($message:ty), $interest:ident, over $protocols:expr
    ) => {
        $(#[$of_type])*
        #[derive(Clone, Debug)]
        pub struct $type<F> {
            name: &'static str,
            message: F,
        }

        $(#[$of_function])*
        pub const fn $function<F>(name: &'static str, message: F) -> $type<F>
        where
            F: FnMut(&Message<'_, $message>, &mut Context<'_>) -> Verdict + Send + 'static,
        {
            $type { name, message }
        }

        impl<F> Inspector for $type<F>
        where
            F: FnMut(&Message<'_, $message>, &mut Context<'_>) -> Verdict + Send + 'static,
        {
            type Flow = ();
            const INTEREST: Interest = Interest::$interest;

            fn name(&self) -> &str {
                self.name
            }

            #[inline]
            fn open(&mut self, first: &Packet<'_>, _cx: &mut Context<'_>) -> Option<()> {
                $protocols.contains(&first.flow().protocol()).then_some(())
            }

            #[inline]
            fn message(
                &mut self,
                (): &mut (),
                message: &Message<'_>,
                cx: &mut Context<'_>,
            ) -> Verdict {
                match message.what {
                    protocol::Message::$variant(what) => (self.message)(&message.with(what), cx),
                    _ => Verdict::PASS,
                }
            }
        }
    };
}

#[cfg(feature = "http")]
message_fn! {
    /// Makes an inspector of a closure that sees every HTTP request, and remembers nothing of them.
    ///
    /// Flows in which there is no HTTP, or in which it is not understood, pass as the
    /// [policy](super::Exception::ProtocolUnparsable) says.
    ///
    /// ```
    /// use gwlb_geneve::inspect::{Reason, Verdict, http_fn};
    ///
    /// const READ_ONLY: Reason = Reason::new("read-only");
    /// let read_only = http_fn("read-only", |request, _cx| {
    ///     let is_admin = request.path().starts_with(b"/admin");
    ///     match request.method() {
    ///         method if method == "GET" && !is_admin => Verdict::PASS,
    ///         _ => Verdict::reject(READ_ONLY),
    ///     }
    /// });
    /// # let _ = read_only;
    /// ```
    fn http_fn;
    /// An inspector made of a closure that sees HTTP requests; see [`http_fn`].
    struct HttpFn;
    HttpRequest(protocol::http::Request<'_>), HTTP, over [IpProtocol::TCP]
}

#[cfg(feature = "tls")]
message_fn! {
    /// Makes an inspector of a closure that sees every `ClientHello` of TLS, also the second one after a `HelloRetryRequest`, and
    /// remembers nothing of them.
    ///
    /// ```
    /// use gwlb_geneve::inspect::{Reason, Verdict, tls_fn};
    ///
    /// const NAME: Reason = Reason::new("server-name");
    /// let known_servers = tls_fn("known-servers", |hello, _cx| {
    ///     let name = hello.server_name().and_then(|name| name.dns_name());
    ///     match name {
    ///         Some(name) if name.eq_ignore_ascii_case("example.com") && !hello.has_ech() => Verdict::PASS,
    ///         _ => Verdict::reject(NAME),
    ///     }
    /// });
    /// # let _ = known_servers;
    /// ```
    fn tls_fn;
    /// An inspector made of a closure that sees what clients say first in TLS; see [`tls_fn`].
    struct TlsFn;
    TlsClientHello(protocol::tls::ClientHello<'_>), TLS, over [IpProtocol::TCP]
}

#[cfg(feature = "dns")]
message_fn! {
    /// Makes an inspector of a closure that sees every DNS message, queries and answers, and remembers nothing of them: over
    /// TCP to port 53, and over UDP from or to ports 53 and 5353.
    ///
    /// ```
    /// use gwlb_geneve::inspect::{Reason, Verdict, dns_fn};
    ///
    /// const NAME: Reason = Reason::new("blocked-name");
    /// let blocked = dns_fn("blocked-names", |message, _cx| {
    ///     let is_bad = |name: String| name == "evil.example" || name.ends_with(".evil.example");
    ///     if message.questions().any(|question| is_bad(question.name.to_string())) {
    ///         return Verdict::drop(NAME);
    ///     }
    ///     Verdict::PASS
    /// });
    /// # let _ = blocked;
    /// ```
    fn dns_fn;
    /// An inspector made of a closure that sees DNS messages; see [`dns_fn`].
    struct DnsFn;
    Dns(protocol::dns::Message<'_>), DNS, over [IpProtocol::TCP, IpProtocol::UDP]
}
