// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TPM engine behind a socket, for everyone who has no SNP machine.
//!
//! Like the reference simulator it speaks the "mssim" protocol on a command port and a platform
//! port; like swtpm it can serve raw TPM frames on a socket of its own, with a control channel
//! beside it. All of them lead to the same TPM.
#![forbid(unsafe_code)]

mod anchor;
mod blob;
mod control;
mod disk;
mod host;
mod keys;
mod mssim;
mod options;
mod raw;
mod storage;
mod stream;
mod volatile;

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use host::Host;
use options::{Address, Options};
use stream::Listener;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{}", options::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("tpm_server: {problem}\n\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("tpm_server: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Opens everything that was asked for and serves until the process is ended.
fn serve(options: &Options) -> Result<(), String> {
    let host = Arc::new(Host::open(options)?);
    let mut services = Vec::new();
    if let Some(port) = options.port {
        let platform_port = port.checked_add(1).ok_or("the platform port would be 65536")?;
        let command = listen(&Address::Tcp(port))?;
        let platform = listen(&Address::Tcp(platform_port))?;
        services.push(spawn(command, Arc::clone(&host), mssim::serve_commands));
        services.push(spawn(platform, Arc::clone(&host), mssim::serve_platform));
    }
    if let Some(address) = &options.data {
        services.push(spawn(listen(address)?, Arc::clone(&host), raw::serve));
    }
    if let Some(address) = &options.control {
        services.push(spawn(listen(address)?, Arc::clone(&host), control::serve));
    }
    for service in services {
        service.join().map_err(|_| "a service ended")?;
    }
    Ok(())
}

fn listen(address: &Address) -> Result<Listener, String> {
    let listener = match address {
        Address::Tcp(port) => TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).map(Listener::Tcp),
        Address::Unix(path) => {
            // A socket that a killed server left behind.
            match std::fs::remove_file(path) {
                Err(problem) if problem.kind() != std::io::ErrorKind::NotFound => Err(problem),
                _ => UnixListener::bind(path).map(Listener::Unix),
            }
        }
    };
    listener.map_err(|problem| format!("cannot listen on {address}: {problem}"))
}

/// What serves one connection until its end.
type Service = fn(&Host, stream::Stream) -> std::io::Result<()>;

fn spawn(listener: Listener, host: Arc<Host>, service: Service) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        loop {
            let Ok(stream) = listener.accept() else { continue };
            let host = Arc::clone(&host);
            thread::spawn(move || {
                if let Err(problem) = service(&host, stream)
                    && !stream::is_end(&problem)
                {
                    eprintln!("tpm_server: a connection ended: {problem}");
                }
            });
        }
    })
}
