//! An example as a process, and clients of it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Long enough for the slowest machine; nothing passes by waiting for it. Shorter than a heartbeat, whose byte
/// would else keep a client waiting for ever for what does not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts an example by its name.
macro_rules! start {
    ($name:literal $(, $argument:expr)* $(,)?) => {
        $crate::process::Example::start(env!(concat!("CARGO_BIN_EXE_", $name)), &[$(&$argument.to_string()),*])
    };
}
pub(crate) use start;

pub(crate) struct Example {
    child: Child,
    input: Option<ChildStdin>,
    output: mpsc::Receiver<String>,
}

impl Example {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (line, output) = mpsc::channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|text| line.send(text)));
        Self { input: child.stdin.take(), child, output }
    }

    /// The next line that it prints.
    pub(crate) fn line(&self) -> String {
        self.next_line().expect("the example prints another line")
    }

    /// The next line, or nothing once it has ended.
    pub(crate) fn next_line(&self) -> Option<String> {
        match self.output.recv_timeout(PATIENCE) {
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the example neither prints nor ends"),
            line => line.ok(),
        }
    }

    /// Where it has opened a door.
    pub(crate) fn address(&self) -> SocketAddr {
        let line = self.line();
        let address = line.split_ascii_whitespace().find_map(|word| word.parse().ok());
        address.unwrap_or_else(|| panic!("an address in {line:?}"))
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Says something that is answered with a line.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.line()
    }

    /// Asks until the answer is this one.
    pub(crate) fn ask_until(&mut self, line: &str, answer: &str) {
        until(|| (self.ask(line) == answer).then_some(()));
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(name).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Ends its input, and waits for its end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.input = None;
        until(|| self.child.try_wait().unwrap())
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn until<T>(mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "it did not come to pass");
        std::thread::yield_now();
    }
}

/// A client of the default protocol.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).unwrap())
    }

    /// From another address of this host.
    pub(crate) fn connect_from(source: &str, address: SocketAddr) -> Self {
        let source: IpAddr = source.parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let socket = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::new(source, 0)).unwrap();
            socket.connect(address).await.unwrap().into_std().unwrap()
        });
        socket.set_nonblocking(false).unwrap();
        Self::of(socket)
    }

    /// One that says who it is.
    pub(crate) fn online(address: SocketAddr, text: &str) -> Self {
        let mut client = Self::connect(address);
        client.0.get_mut().write_all(text.as_bytes()).unwrap();
        client
    }

    fn of(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(socket))
    }

    /// What stands before the next such byte.
    pub(crate) fn until(&mut self, end: u8) -> String {
        let mut frame = Vec::new();
        self.0.read_until(end, &mut frame).unwrap();
        assert_eq!(frame.pop(), Some(end), "the connection ended");
        String::from_utf8(frame).unwrap().trim_matches('\0').to_owned()
    }

    /// The next message.
    pub(crate) fn message(&mut self) -> String {
        self.until(b'|')
    }

    /// Everything until the connection ends.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Err(fault) if fault.kind() != ErrorKind::ConnectionReset => panic!("{fault}"),
            _ => String::from_utf8(rest).unwrap().replace('\0', ""),
        }
    }
}
