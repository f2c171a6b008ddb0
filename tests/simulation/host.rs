use std::collections::VecDeque;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use crate::random::Random;

/// A machine with a TCP stack and one application, which says something, reads all that it is told, and then closes.
pub(crate) struct Host {
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    card: Card,
    /// What is still to be said.
    to_say: VecDeque<u8>,
    /// What the application has read.
    pub(crate) read: Vec<u8>,
    /// Whether it has said all that it had to say, and said so.
    closed: bool,
    /// How many bytes it waits for before it closes. Where a FIN comes while data is under way, this stack forgets to send
    /// that data again; so nobody closes before everything has arrived.
    expects: usize,
}

pub(crate) const CLIENT: [u8; 4] = [10, 1, 0, 10];
pub(crate) const SERVER: [u8; 4] = [10, 2, 0, 20];
pub(crate) const PORTS: [u16; 2] = [40_000, 443];

impl Host {
    /// The one that opens the connection, or the one that is called.
    pub(crate) fn new(is_client: bool, to_say: &[u8], expects: usize, random: &mut Random) -> Self {
        let mut card = Card::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = random.next();
        let mut interface = Interface::new(config, &mut card, Instant::ZERO);
        let [a, b, c, d] = if is_client { CLIENT } else { SERVER };
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::v4(a, b, c, d), 8)).unwrap();
        });
        let mut buffer =
            |least: u64| tcp::SocketBuffer::new(vec![0; (least << random.below(6)) as usize]);
        let mut socket = tcp::Socket::new(buffer(2_048), buffer(1_024));
        socket.set_nagle_enabled(random.chance(50));
        if is_client {
            let [a, b, c, d] = SERVER;
            let server = (IpAddress::v4(a, b, c, d), PORTS[1]);
            socket.connect(interface.context(), server, PORTS[0]).unwrap();
        } else {
            socket.listen(PORTS[1]).unwrap();
        }
        let mut sockets = SocketSet::new(Vec::new());
        let socket = sockets.add(socket);
        let (to_say, read) = (to_say.iter().copied().collect(), Vec::new());
        Self { interface, sockets, socket, card, to_say, read, closed: false, expects }
    }

    /// From now on it asks now and then whether the other one is still there.
    pub(crate) fn keep_alive(&mut self) {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.socket);
        socket.set_keep_alive(Some(Duration::from_secs(5)));
    }

    /// Takes packets in, lets the application work, and gives what is to be sent.
    pub(crate) fn work(
        &mut self,
        millis: u64,
        arrived: impl IntoIterator<Item = Vec<u8>>,
        random: &mut Random,
    ) -> Vec<Vec<u8>> {
        let now = Instant::from_millis(millis as i64);
        self.card.received.extend(arrived);
        self.interface.poll(now, &mut self.card, &mut self.sockets);
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.socket);
        while socket.can_recv() && random.chance(90) {
            let most = 1 + random.below(4_000) as usize;
            let read = socket.recv(|data| {
                let len = data.len().min(most);
                (len, data[..len].to_vec())
            });
            self.read.extend(read.unwrap());
        }
        if socket.can_send() && !self.to_say.is_empty() && random.chance(60) {
            let most = self.to_say.len().min(1 + random.below(3_000) as usize);
            let sent = socket.send_slice(&self.to_say.make_contiguous()[..most]).unwrap();
            self.to_say.drain(..sent);
        }
        if self.may_close() && random.chance(30) {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.socket);
            socket.close();
            self.closed = true;
        }
        self.interface.poll(now, &mut self.card, &mut self.sockets);
        std::mem::take(&mut self.card.sent)
    }

    /// Whether everything was said, and heard.
    fn may_close(&self) -> bool {
        let socket = self.sockets.get::<tcp::Socket<'_>>(self.socket);
        let is_done = self.to_say.is_empty() && socket.send_queue() == 0;
        let has_all = self.read.len() >= self.expects || !socket.may_recv();
        is_done && has_all && !self.closed && socket.may_send()
    }

    /// In how many milliseconds there is something to do again.
    pub(crate) fn due(&mut self, millis: u64) -> Option<u64> {
        let now = Instant::from_millis(millis as i64);
        let socket = self.sockets.get::<tcp::Socket<'_>>(self.socket);
        let can_say = !self.to_say.is_empty() && socket.can_send();
        let busy = socket.can_recv() || can_say || self.may_close();
        let due = self.interface.poll_delay(now, &self.sockets).map(|delay| delay.total_millis());
        if busy { Some(due.unwrap_or(50).min(50)) } else { due }
    }

    /// Whether the connection is over for it: one that was reset before it was open listens again.
    pub(crate) fn is_over(&self) -> bool {
        let socket = self.sockets.get::<tcp::Socket<'_>>(self.socket);
        !socket.can_recv()
            && matches!(
                socket.state(),
                tcp::State::Closed | tcp::State::TimeWait | tcp::State::Listen
            )
    }

    pub(crate) fn state(&self) -> tcp::State {
        self.sockets.get::<tcp::Socket<'_>>(self.socket).state()
    }
}

/// A network card of which the packets are taken by hand.
#[derive(Default)]
struct Card {
    received: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

struct Received(Vec<u8>);
struct Sending<'a>(&'a mut Vec<Vec<u8>>);

impl Device for Card {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        let packet = self.received.pop_front()?;
        Some((Received(packet), Sending(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        Some(Sending(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1_500;
        capabilities
    }
}

impl RxToken for Received {
    fn consume<T, F: FnOnce(&[u8]) -> T>(self, read: F) -> T {
        read(&self.0)
    }
}

impl TxToken for Sending<'_> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, len: usize, write: F) -> T {
        let mut packet = vec![0; len];
        let done = write(&mut packet);
        self.0.push(packet);
        done
    }
}
