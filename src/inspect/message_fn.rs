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
