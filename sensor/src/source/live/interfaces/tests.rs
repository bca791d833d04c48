use super::choice::fits;
use super::*;
use crate::source::live::Observe;

/// `3 eth0 device master=4 lower=2 elsewhere down hw=772 10.0.0.1`: number, name, kind, and what is not usual.
fn link(line: &str) -> Link {
    let mut words = line.split_whitespace();
    let mut next = || words.next().expect("number, name, kind");
    let (index, name, kind) = (next().parse().expect("a number"), next().to_owned(), next());
    let kind = match kind {
        "device" => Kind::Device,
        "loopback" => Kind::Loopback,
        "veth" => Kind::Veth,
        "tap" => Kind::Tap,
        "tun" => Kind::Tun,
        "bridge" => Kind::Bridge,
        "bond" => Kind::Bond,
        "vlan" => Kind::Vlan,
        "macvlan" => Kind::Macvlan,
        "macvtap" => Kind::Macvtap,
        "vrf" => Kind::Vrf,
        "dummy" => Kind::Dummy,
        "ifb" => Kind::Ifb,
        other => Kind::Other(other.to_owned()),
    };
    let mut link = Link {
        index,
        name,
        alias: String::new(),
        kind,
        master: None,
        lower: None,
        elsewhere: false,
        up: true,
        hardware: libc::ARPHRD_ETHER,
        addresses: Vec::new(),
    };
    for word in words {
        match word.split_once('=') {
            Some(("master", index)) => link.master = index.parse().ok(),
            Some(("lower", index)) => link.lower = index.parse().ok(),
            Some(("hw", number)) => link.hardware = number.parse().expect("a number"),
            None if word == "elsewhere" => link.elsewhere = true,
            None if word == "down" => link.up = false,
            _ => link.addresses.push(word.parse().expect("an address")),
        }
    }
    link
}

/// Each case: patterns, then an interface a line and behind `=>` what becomes of it: `full`, `metadata`, or a word of the
/// reason why it is left out.
const CHOICES: &[(&str, &str, &str)] = &[
    ("a mail host", "", "1 lo loopback hw=772 127.0.0.1 => loopback\n2 eth0 device => full"),
    ("nothing but the loopback", "", "1 lo loopback hw=772 => full\n2 eth0 device down => down"),
    ("the loopback is named", "lo", "1 lo loopback hw=772 => full\n2 eth0 device => not asked"),
    (
        "a wildcard does not take the loopback",
        "*",
        "1 lo loopback hw=772 => name it\n2 e device => full",
    ),
    (
        "a hypervisor",
        "",
        "1 lo loopback hw=772 => loopback\n2 eno1 device master=3 => metadata\n3 vmbr0 bridge 192.0.2.1 => port eno1\n\
         4 vnet0 tap master=3 => metadata\n5 vnet1 tap master=3 => metadata",
    ),
    (
        "Proxmox with a firewall for each guest",
        "",
        "2 eno1 device master=3 => metadata\n3 vmbr0 bridge => port eno1\n4 tap100i0 tap master=5 => metadata\n\
         5 fwbr100i0 bridge => port tap100i0\n6 fwpr100p0 veth lower=7 master=3 => joins two bridges\n\
         7 fwln100i0 veth lower=6 master=5 => joins two bridges",
    ),
    (
        "the same with a container",
        "",
        "2 eno1 device master=3 => metadata\n3 vmbr0 bridge => port\n4 veth101i0 veth elsewhere master=5 => full\n\
         5 fwbr101i0 bridge => port\n6 fwpr101p0 veth lower=7 master=3 => joins\n7 fwln101i0 veth lower=6 master=5 => joins",
    ),
    (
        "containers",
        "",
        "2 eth0 device => full\n3 docker0 bridge 172.17.0.1 => port veth1\n4 veth1 veth elsewhere master=3 => full",
    ),
    ("a bridge that waits for ports", "", "2 eth0 device => full\n3 br0 bridge => without ports"),
    ("a bridge with a host's address and no port", "", "3 br0 bridge 10.0.0.1 => full"),
    ("a bridge whose ports are down", "", "2 p device master=3 down => down\n3 br0 bridge => full"),
    ("a bridge is named", "br0", "2 eth0 device master=3 => not asked\n3 br0 bridge => full"),
    (
        "a bridge fits a wildcard, its ports do not",
        "br*",
        "2 eth0 device master=3 => not asked\n3 br0 bridge => full",
    ),
    (
        "a bridge and its port are named",
        "br0 eth0",
        "2 eth0 device master=3 => full\n3 br0 bridge => full",
    ),
    (
        "a bond",
        "",
        "2 e1 device master=4 => slave of bond0\n3 e2 device master=4 => slave of bond0\n4 bond0 bond => full",
    ),
    ("a bond that is down", "", "2 e1 device master=4 => full\n4 bond0 bond down => down"),
    ("a slave is named", "e1", "2 e1 device master=4 => full\n4 bond0 bond => not asked"),
    ("a VLAN", "", "2 eth0 device => full\n3 eth0.7 vlan lower=2 => vlan of eth0"),
    ("a VLAN alone", "*.7", "2 eth0 device => not asked\n3 eth0.7 vlan lower=2 => full"),
    (
        "a VLAN of a bridge of a bond",
        "",
        "2 e1 device master=3 => slave\n3 bond0 bond master=4 => full\n4 br0 bridge => port bond0\n5 br0.7 vlan lower=4 10.0.0.1 => vlan of br0",
    ),
    (
        "a bridge over VLANs",
        "",
        "2 eth0 device => metadata\n3 eth0.7 vlan lower=2 master=4 => vlan of eth0\n4 br7 bridge => port eth0.7\n\
         5 vnet3 tap master=4 => metadata",
    ),
    (
        "macvlan and macvtap",
        "",
        "2 e device => metadata\n3 m macvlan lower=2 => macvlan of e\n4 macvtap0 macvtap lower=2 => metadata",
    ),
    ("a pair within", "", "2 a veth lower=3 => full\n3 b veth lower=2 => other end of a"),
    (
        "the far end of a pair is named",
        "b",
        "2 a veth lower=3 => not asked\n3 b veth lower=2 => full",
    ),
    (
        "a tunnel of IP",
        "",
        "2 wg0 wireguard hw=65534 => full\n3 tun0 tun hw=65534 => full\n4 s sit hw=776 => not understood",
    ),
    (
        "what carries nothing",
        "",
        "2 d dummy => dummy\n3 i ifb => copies\n4 n nlmon => netlink\n5 v vrf => full",
    ),
    ("a VRF", "", "2 e device master=3 => full\n3 v vrf => interface e"),
    (
        "guests only",
        "vnet* tap*",
        "2 eth0 device => not asked\n3 vnet0 tap => metadata\n4 tap1i0 tap => metadata",
    ),
];

#[test]
fn the_choice_among_interfaces() {
    for (case, patterns, lines) in CHOICES {
        let (links, expected): (Vec<Link>, Vec<&str>) = lines
            .lines()
            .map(|line| line.split_once(" => ").expect("what becomes of it"))
            .map(|(before, after)| (link(before), after))
            .unzip();
        let patterns: Vec<String> = patterns.split_whitespace().map(str::to_owned).collect();
        let choices = suitable(&links, &patterns).expect("all names are known");
        assert_eq!(choices.len(), links.len(), "{case}");
        for ((choice, link), expected) in choices.iter().zip(&links).zip(expected) {
            let shown = format!("{case}: {}: {:?}, {}", link.name, choice.observe, choice.reason);
            assert_eq!(choice.index, link.index, "{shown}");
            match expected {
                "full" => assert_eq!(choice.observe, Some(Observe::Full), "{shown}"),
                "metadata" => assert_eq!(choice.observe, Some(Observe::Metadata), "{shown}"),
                reason => {
                    assert_eq!(choice.observe, None, "{shown}");
                    assert!(choice.reason.contains(reason), "{shown}, not {reason:?}");
                }
            }
        }
    }
}

#[test]
fn an_unknown_name_is_told_with_the_nearest() {
    let links = [link("1 lo loopback hw=772"), link("2 enp3s0 device")];
    let error = suitable(&links, &["enp3s1".to_owned()]).expect_err("no such interface");
    assert_eq!(
        error.to_string(),
        "there is no interface \"enp3s1\"; did you mean \"enp3s0\"?; there are: lo, enp3s0"
    );
    let error = suitable(&links, &["wlan7".to_owned()]).expect_err("no such interface");
    assert_eq!(error.to_string(), "there is no interface \"wlan7\"; there are: lo, enp3s0");
    // One that may come later is no mistake.
    assert!(suitable(&links, &["wlan*".to_owned()]).is_ok());
}

#[test]
fn patterns() {
    let cases = [
        ("*", "", true),
        ("*", "eth0", true),
        ("eth0", "eth0", true),
        ("eth0", "eth01", false),
        ("eth*", "eth", true),
        ("eth*", "veth0", false),
        ("*i0", "tap100i0", true),
        ("tap*i*0", "tap100i10", true),
        ("tap*i*0", "tap100i1", false),
        ("a*a", "a", false),
        ("**x", "x", true),
    ];
    for (pattern, name, expected) in cases {
        assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
    }
}

#[test]
fn a_difference_is_told_so_that_names_stay_unique() {
    let old = [link("1 lo loopback"), link("2 a device"), link("3 b device"), link("4 c device")];
    // a went, b was renamed to a, c stays, another c came under a new number.
    let new = [link("1 lo loopback"), link("3 a device"), link("4 c device"), link("7 b device")];
    assert_eq!(
        difference(&old, &new),
        [
            Change::Removed(old[1].clone()),
            Change::Changed { old: old[2].clone(), new: new[1].clone() },
            Change::Added(new[3].clone()),
        ]
    );
    assert_eq!(difference(&old, &old), []);
}

#[test]
fn addresses_of_this_machine() {
    let links = [
        link("1 lo loopback 127.0.0.1 ::1 192.0.2.9"),
        link("2 eth0 device 192.0.2.1 fe80::1"),
        link("3 br0 bridge 192.0.2.1 2001:db8::1"),
    ];
    let expected = ["192.0.2.1", "192.0.2.9", "2001:db8::1", "fe80::1"];
    assert_eq!(addresses(&links), expected.map(|a| a.parse::<IpAddr>().expect("an address")));
}

#[test]
fn the_kernel_lists_the_loopback() {
    let links = list().expect("netlink");
    let lo = links.iter().find(|link| link.is_loopback()).expect("every namespace has one");
    assert_eq!((lo.name.as_str(), lo.hardware), ("lo", libc::ARPHRD_LOOPBACK));
    assert!(links.is_sorted_by_key(|link| link.index));
}
