//! Interfaces as they come and go.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd};

use botlike::source::live::Observe;
use botlike::source::live::interfaces::{Change, Kind, Watcher, addresses, list, suitable};

use crate::namespace::{ip, link, within};

/// All that is told until nothing more is.
fn changes(watcher: &mut Watcher) -> Vec<String> {
    let mut told = Vec::new();
    let mut poll =
        libc::pollfd { fd: watcher.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    for _ in 0..1000 {
        match watcher.next_change().expect("netlink") {
            Some(Change::Added(link)) => told.push(format!("+{}", link.name)),
            Some(Change::Removed(link)) => told.push(format!("-{}", link.name)),
            Some(Change::Changed { old, new }) if old.name != new.name => {
                told.push(format!("{}>{}", old.name, new.name));
            }
            Some(Change::Changed { new, .. }) => told.push(format!("~{}", new.name)),
            // SAFETY: one whole `pollfd`.
            None if unsafe { libc::poll(&raw mut poll, 1, 100) } <= 0 => return told,
            None => {}
        }
    }
    panic!("it does not end: {told:?}");
}

#[test]
fn interfaces_come_change_and_go() {
    within("interfaces_come_change_and_go", || {
        let mut watcher = Watcher::new().expect("netlink");
        assert_eq!(watcher.links().iter().map(|l| l.name.as_str()).collect::<Vec<_>>(), ["lo"]);
        assert_eq!(changes(&mut watcher), [""; 0]);

        ip("link add name a type veth peer name b");
        assert_eq!(changes(&mut watcher), ["+b", "+a"]);
        ip("link set dev a name c");
        assert_eq!(changes(&mut watcher), ["a>c"]);
        ip("link set dev c up");
        assert!(changes(&mut watcher).contains(&"~c".to_owned()));
        assert!(watcher.links().iter().any(|link| link.name == "c" && link.up));
        ip("address add 192.0.2.7/24 dev c");
        assert!(changes(&mut watcher).contains(&"~c".to_owned()));
        assert!(addresses(watcher.links()).contains(&"192.0.2.7".parse().expect("an address")));
        ip("link add name br0 type bridge");
        ip("link set dev b master br0");
        changes(&mut watcher);
        assert_eq!(link("b").master, Some(link("br0").index));
        ip("tuntap add dev tap0 mode tap");
        ip("tuntap add dev tun0 mode tun");
        let told: BTreeSet<String> = changes(&mut watcher).into_iter().collect();
        assert!(told.contains("+tap0") && told.contains("+tun0"), "{told:?}");
        ip("link del dev c");
        let told = changes(&mut watcher);
        assert!(told.contains(&"-b".to_owned()) && told.contains(&"-c".to_owned()), "{told:?}");
        assert_eq!(watcher.links(), list().expect("netlink"));
    });
}

#[test]
fn what_is_lost_is_told_all_the_same() {
    within("what_is_lost_is_told_all_the_same", || {
        let mut watcher = Watcher::new().expect("netlink");
        // SAFETY: a number of that size. So small a buffer holds no two notifications.
        let small = unsafe {
            let size: libc::c_int = 1;
            libc::setsockopt(
                watcher.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUF,
                (&raw const size).cast(),
                4,
            )
        };
        assert_eq!(small, 0);
        for number in 0..20 {
            ip(&format!("link add name v{number} type veth peer name w{number}"));
        }
        let told: BTreeSet<String> = changes(&mut watcher).into_iter().collect();
        assert_eq!(told.len(), 40, "{told:?}");
    });
}

#[test]
fn kinds_and_the_choice_among_them() {
    within("kinds_and_the_choice_among_them", || {
        ip("link add name br0 type bridge");
        ip("link add name a type veth peer name b");
        ip("link set dev a alias guest-of-somebody");
        ip("tuntap add dev vnet0 mode tap");
        ip("tuntap add dev tun0 mode tun");
        ip("link add link a name m type macvlan mode bridge");
        for name in ["br0", "a", "b", "vnet0", "tun0", "m", "lo"] {
            ip(&format!("link set dev {name} up"));
        }
        ip("link set dev b master br0");
        ip("link set dev vnet0 master br0");
        let kind = |name| link(name).kind;
        assert_eq!(kind("lo"), Kind::Loopback);
        assert_eq!(kind("br0"), Kind::Bridge);
        assert_eq!(kind("a"), Kind::Veth);
        assert_eq!(kind("vnet0"), Kind::Tap);
        assert_eq!(kind("tun0"), Kind::Tun);
        assert_eq!(kind("m"), Kind::Macvlan);
        assert_eq!(link("a").lower, Some(link("b").index));
        assert_eq!(link("a").alias, "guest-of-somebody");
        assert!(!link("a").elsewhere);
        let choices = suitable(&list().expect("netlink"), &[]).expect("no names");
        let of = |name: &str| {
            let choice = choices.iter().find(|choice| choice.name == name).expect("a choice");
            choice.observe
        };
        assert_eq!(of("vnet0"), Some(Observe::Metadata));
        assert_eq!(of("tun0"), Some(Observe::Metadata), "packets of the guest may pass it");
        assert_eq!([of("lo"), of("br0"), of("m")], [None; 3]);
        assert_eq!([of("a"), of("b")].iter().flatten().count(), 1, "one end of the pair");
    });
}

#[test]
fn the_other_end_in_another_namespace_is_a_guest() {
    within("the_other_end_in_another_namespace_is_a_guest", || {
        ip("link add name a type veth peer name b");
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            // SAFETY: no pointers; it concerns this thread alone.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
            // SAFETY: no arguments.
            tell.send(unsafe { libc::gettid() }).expect("somebody waits");
            let _ = wait.recv();
        });
        let thread = told.recv().expect("a number");
        ip(&format!("link set dev b netns /proc/{}/task/{thread}/ns/net", std::process::id()));
        ip("link set dev a up");
        let a = link("a");
        assert!(a.elsewhere);
        assert_eq!(a.lower, None);
        let choices = suitable(&list().expect("netlink"), &[]).expect("no names");
        let choice = choices.iter().find(|choice| choice.name == "a").expect("a choice");
        assert_eq!(choice.observe, Some(Observe::Full));
        assert!(choice.reason.contains("another network namespace"), "{}", choice.reason);
        drop(done);
        other.join().expect("it ends");
    });
}
