//! Behaviours: a script, and what is to be known of it.

use super::Case;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a plain session",
        script: r"
            S: 220 mx.example ESMTP
            C: EHLO mail.example
            S: 250-mx.example
            S: 250-PIPELINING
            S: 250-SIZE 1000
            S: 250 STARTTLS
            C: MAIL FROM:<a@b.example> SIZE=10
            S: 250 ok
            C: RCPT TO:<c@d.example>
            S: 250 ok
            C: DATA
            S: 354 go
            C: Subject: x
            C:
            C: ..text
            C: .
            S: 250 queued
            C: QUIT
            S: 221 bye",
        session: "220 Ehlo=mail.example*1 offers(STARTTLS,PIPELINING,SIZE) c5 t1 m1 last221 quit",
        messages: &[
            r"#0 <a@b.example> -> c@d.example +1 -0 Accepted 250 21B [SIZE=10] Subject: x\r\n\r\n.text\r\n",
        ],
    },
    Case {
        name: "a blind client, a dot line that lacks its CR, an empty line behind it",
        script: r"
            C: EHLO mail.example
            C: MAIL FROM:<a@b.example>
            C: RCPT TO:<c@d.example>
            C: DATA
            C: Subject: x
            C:
            C: text
            C| .\n\n
            S: 220 mx.example
            S: 250 mx.example
            S: 250 ok
            S: 250 ok
            S: 354 go
            S: 250 queued
            S: 500 what?",
        session: "220 Ehlo=mail.example*1 offers() c4 5xx1 t1 m1 last500 pipelined",
        messages: &[
            r"#0 <a@b.example> -> c@d.example +1 -0 Accepted 250 20B Subject: x\r\n\r\ntext\r\n\n\n",
        ],
    },
    Case {
        name: "through a tunnel of an HTTP proxy",
        script: r"
            C: CONNECT mx.example:25 HTTP/1.0
            C: User-Agent: x
            C:
            S: HTTP/1.0 200 Connection established
            S:
            --
            S: 220 mx.example
            C: HELO mail.example
            S: 250 mx.example
            C: MAIL FROM:<a@b.example>
            S: 250 ok
            C: RCPT TO:<c@d.example>
            S: 550 no
            C: RCPT TO:<e@d.example>
            S: 250 ok
            C: DATA
            S: 354 go
            C: .
            S: 250 queued
            C: QUIT
            S: 221 bye",
        session: "220 Helo=mail.example*1 c9 unknown3 5xx1 t1 m1 last221 quit",
        messages: &[r"#0 <a@b.example> -> c@d.example,e@d.example +1 -1 Accepted 250 0B "],
    },
    Case {
        name: "CONNECT to a mail server",
        script: r"
            S: 220 mx.example
            C: CONNECT mx.example:25 HTTP/1.0
            C:
            S: 502 what?
            S: 500 what?
            C: QUIT
            S: 221 bye",
        session: "220 c3 unknown2 5xx2 last221 quit pipelined",
        messages: &[],
    },
    Case {
        name: "several transactions, unknown user, null sender, HELO",
        script: r"
            S: 220-mx.example
            S: 220 hello
            C: HELO mail.example
            S: 250 mx.example
            C: mail from: <>
            S: 250 ok
            C: rcpt to: <c@d.example>
            S: 550 5.1.1 unknown
            C: rcpt to:<@x.example:e@d.example>
            S: 250 ok
            C: data
            S: 354 go
            C: .
            S: 250 queued
            C: MAIL FROM:two@b.example
            S: 250 ok
            C: RCPT TO:<three@d.example>
            S: 250 ok
            C: RSET
            S: 250 ok
            C: MAIL FROM:<four@b.example>
            S: 250 ok
            C: RCPT TO:<five@d.example>
            S: 250 ok
            C: DATA
            S: 354 go
            C: text
            C: .
            S: 554 spam
            C: QUIT
            S: 221 bye",
        session: "220 Helo=mail.example*1 c12 5xx2 t3 m1 last221 quit",
        messages: &[
            r"#0 <> -> c@d.example,@x.example:e@d.example +1 -1 Accepted 250 0B ",
            r"#2 <four@b.example> -> five@d.example +1 -0 Rejected 554 6B text\r\n",
        ],
    },
    Case {
        name: "pipelining",
        script: r"
            S: 220 hi
            C: EHLO m
            S: 250-mx
            S: 250 PIPELINING
            C: MAIL FROM:<a@b>
            C: RCPT TO:<c@d>
            C: RCPT TO:<e@f>
            C: DATA
            S: 250 ok
            S: 550 no
            S: 250 ok
            S: 354 go
            C: one
            C: .
            C: MAIL FROM:<g@h>
            C: RCPT TO:<i@j>
            C: DATA
            S: 250 queued
            S: 250 ok
            S: 451 later
            S: 554 no valid recipients
            C: RSET
            S: 250 ok
            C: MAIL FROM:<k@l>
            C: RCPT TO:<m@n>
            C: DATA
            S: 250 ok
            S: 250 ok
            S: 354 go
            C: three
            C: .
            C: QUIT
            S: 250 queued
            S: 221 bye",
        session: "220 Ehlo=m*1 offers(PIPELINING) c13 4xx1 5xx2 t3 m2 last221 quit pipelined",
        messages: &[
            r"#0 <a@b> -> c@d,e@f +1 -1 Accepted 250 5B one\r\n",
            r"#2 <k@l> -> m@n +1 -0 Accepted 250 7B three\r\n",
        ],
    },
    Case {
        name: "DATA refused, and nothing follows",
        script: r"
            S: 220 hi
            C: EHLO m
            S: 250 mx
            C: MAIL FROM:<a@b>
            S: 250 ok
            C: RCPT TO:<c@d>
            S: 250 ok
            C: DATA
            S: 554 go away
            C: RSET
            S: 250 ok
            C: MAIL FROM:<e@f>
            S: 250 ok
            C: RCPT TO:<g@h>
            S: 250 ok
            C: DATA
            S: 354 go
            C: text
            C: .
            S: 250 ok",
        session: "220 Ehlo=m*1 offers() c8 5xx1 t2 m1 last250",
        messages: &[
            r"#0 <a@b> -> c@d +1 -0 Rejected 554 0B ",
            r"#1 <e@f> -> g@h +1 -0 Accepted 250 6B text\r\n",
        ],
    },
    Case {
        name: "DATA refused, and content follows all the same",
        script: r"
            S: 220 hi
            C: EHLO m
            S: 250 mx
            C: MAIL FROM:<a@b>
            S: 250 ok
            C: RCPT TO:<c@d>
            S: 250 ok
            C: DATA
            S: 554 go away
            C: Subject: buy
            C:
            C: QUIT
            C: MAIL FROM:<x@y>
            C: RCPT TO:<x@y>
            C: DATA
            C: .
            S: 500 what
            S: 500 what
            S: 221 bye",
        session: "220 Ehlo=m*1 offers() c4 5xx3 t1 last221",
        messages: &[
            r"#0 <a@b> -> c@d +1 -0 Rejected 554 60B Subject: buy\r\n\r\nQUIT\r\nMAIL FROM:<x@y>\r\nRCPT TO:<x@y>\r\nDATA\r\n",
        ],
    },
    Case {
        name: "everything at once, blindly",
        script: r"
            S: 220 hi
            C: EHLO m
            C: MAIL FROM:<a@b>
            C: RCPT TO:<c@d>
            C: DATA
            C: Subject: x
            C: .
            C: MAIL FROM:<e@f>
            C: RCPT TO:<g@h>
            C: DATA
            C: Subject: y
            C: .
            C: QUIT
            S: 250-mx
            S: 250 HELP
            S: 250 ok
            S: 250 ok
            S: 354 go
            S: 250 queued
            S: 250 ok
            S: 250 ok
            S: 354 go
            S: 452 full
            S: 221 bye",
        session: "220 Ehlo=m*1 offers(HELP) c8 4xx1 t2 m1 last221 quit pipelined",
        messages: &[
            r"#0 <a@b> -> c@d +1 -0 Accepted 250 12B Subject: x\r\n",
            r"#1 <e@f> -> g@h +1 -0 Rejected 452 12B Subject: y\r\n",
        ],
    },
    Case {
        name: "BDAT",
        script: r"
            S: 220 hi
            C: EHLO m
            S: 250-mx
            S: 250 CHUNKING
            C: MAIL FROM:<a@b>
            S: 250 ok
            C: RCPT TO:<c@d>
            S: 250 ok
            C: BDAT 6
            C| 1\r\n.\r\nBDAT 0\r\nBDAT 3 LAST\r\nxyzMAIL FROM:<e@f>\r\n
            S: 250 ok
            S: 250 ok
            S: 250 queued
            S: 250 ok
            C: RCPT TO:<g@h>
            S: 250 ok
            C: BDAT 0 LAST
            S: 250 queued
            C: MAIL FROM:<i@j>
            S: 250 ok
            C: RCPT TO:<k@l>
            S: 250 ok
            C: BDAT -5
            S: 501 no
            C: BDAT 99999999999999999999 LAST
            S: 501 no
            C: BDAT 2
            C| hi
            S: 552 too much
            C: RSET
            S: 250 ok
            C: QUIT
            S: 221 bye",
        session: "220 Ehlo=m*1 offers(CHUNKING) c16 unknown2 5xx3 t3 m2 last221 quit pipelined",
        messages: &[
            r"#0 <a@b> -> c@d +1 -0 Accepted 250 9B bdat 1\r\n.\r\nxyz",
            r"#1 <e@f> -> g@h +1 -0 Accepted 250 0B bdat ",
            r"#2 <i@j> -> k@l +1 -0 Rejected 552 2B bdat hi",
        ],
    },
    Case {
        name: "AUTH in one line, and over a challenge; the secret is nowhere",
        script: r"
            S: 220 hi
            C: EHLO m
            S: 250-mx
            S: 250 AUTH PLAIN LOGIN
            C: AUTH PLAIN AHVzZXIAc2VjcmV0
            S: 535 no
            C: auth login
            S: 334 VXNlcm5hbWU6
            C: dXNlcg==
            S: 334 UGFzc3dvcmQ6
            C: QUIT
            S: 535 no
            C: AUTH LOGIN dXNlcg==
            S: 334 UGFzc3dvcmQ6
            C: c2VjcmV0
            S: 235 ok
            C: MAIL FROM:<a@b>
            S: 250 ok
            C: RCPT TO:<c@d>
            S: 250 ok
            C: DATA
            S: 354 go
            C: x
            C: .
            S: 250 ok",
        session: "220 Ehlo=m*1 offers(AUTH) auth(LOGIN 3 -2 true) c7 5xx2 t1 m1 last250",
        messages: &[r"#0 <a@b> -> c@d +1 -0 Accepted 250 3B x\r\n"],
    },
    Case {
        name: "AUTH and the answers in one go",
        script: r"
            S: 220 hi
            C: EHLO m
            S: 250 mx
            C: AUTH LOGIN
            C: dXNlcg==
            C: c2VjcmV0
            S: 334 VXNlcm5hbWU6
            S: 334 UGFzc3dvcmQ6
            S: 235 ok
            C: RSET
            S: 250 ok",
        session: "220 Ehlo=m*1 offers() auth(LOGIN 1 -0 true) c3 last250",
        messages: &[],
    },
    Case {
        name: "STARTTLS",
        script: r"
            S: 220 hi
            C: EHLO m
            S: 250-mx
            S: 250 STARTTLS
            C: STARTTLS
            S: 220 go
            C| \x16\x03\x01\x00\x05MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n
            S| \x16\x03\x03\x00\x05250 ok\r\n500 no\r\n
            C| \x17\x03\x03QUIT\r\n",
        session: "220 Ehlo=m*1 offers(STARTTLS) Established UntilStarttls c2 last220",
        messages: &[],
    },
    Case {
        name: "STARTTLS refused",
        script: r"
            S: 220 hi
            C: STARTTLS
            S: 454 not now
            C: QUIT
            S: 221 bye",
        session: "220 Refused c2 4xx1 last221 quit",
        messages: &[],
    },
    Case {
        name: "STARTTLS accepted, and plain text goes on",
        script: r"
            S: 220 hi
            C: STARTTLS
            S: 220 go
            C: EHLO m
            S: 250 mx
            C: MAIL FROM:<a@b>
            S: 250 ok
            C: RCPT TO:<c@d>
            S: 250 ok
            C: DATA
            S: 354 go
            C: x
            C: .
            S: 250 ok",
        session: "220 Ehlo=m*1 offers() AcceptedButPlain c5 t1 m1 last250",
        messages: &[r"#0 <a@b> -> c@d +1 -0 Accepted 250 3B x\r\n"],
    },
    Case {
        name: "TLS from the first byte",
        script: r"
            C| \x16\x03\x01\x02\x00\x01\x00EHLO\x00x\r\n
            S| \x16\x03\x03250 x\r\n",
        session: "ImplicitTls c0",
        messages: &[],
    },
    Case {
        name: "bare LF, and a server that takes a dot between them for the end",
        script: r"
            S| 220 hi\n
            C| EHLO m\n
            S| 250 mx\n
            C| MAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\n
            S| 250 ok\n250 ok\n354 go\n
            C| Subject: x\n\ntext\n.\n
            S| 250 queued\n
            C| QUIT\n
            S| 221 bye\n",
        session: "220 Ehlo=m*1 offers() c5 t1 m1 last221 quit pipelined",
        messages: &[r"#0 <a@b> -> c@d +1 -0 Accepted 250 17B Subject: x\n\ntext\n.\n"],
    },
    Case {
        name: "bare LF, and a server that does not",
        script: r"
            S: 220 hi
            C: EHLO m
            S: 250 mx
            C: MAIL FROM:<a@b>
            S: 250 ok
            C: RCPT TO:<c@d>
            S: 250 ok
            C: DATA
            S: 354 go
            C| text\n.\nMAIL FROM:<x@y>\nRCPT TO:<x@y>\nDATA\nno\n.\nmore\r\n.\r\n
            S: 250 queued
            C: QUIT
            S: 221 bye",
        session: "220 Ehlo=m*1 offers() c5 t1 m1 last221 quit",
        messages: &[
            r"#0 <a@b> -> c@d +1 -0 Accepted 250 53B text\n.\nMAIL FROM:<x@y>\nRCPT TO:<x@y>\nDATA\nno\n.\nmore\r\n",
        ],
    },
    Case {
        name: "a nested MAIL is refused, and the first stays",
        script: r"
            S: 220 hi
            C: EHLO m
            S: 250 mx
            C: MAIL FROM:<a@b>
            S: 250 ok
            C: DATA
            S: 503 no recipient
            C: Hello, Alice (3)
            S: 500 what
            C: .
            S: 500 what
            C: MAIL FROM:<e@f>
            S: 503 nested
            C: RCPT TO:<c@d>
            S: 250 ok
            C: DATA
            S: 354 go
            C: x
            C: .
            S: 250 ok",
        session: "220 Ehlo=m*1 offers() c8 unknown2 5xx4 t2 m1 last250",
        messages: &[r"#0 <a@b> -> c@d +1 -0 Accepted 250 3B x\r\n"],
    },
    Case {
        name: "a nested MAIL is taken, and the first is gone",
        script: r"
            S: 220 hi
            C: HELO m
            S: 250 mx
            C: MAIL FROM:<a@b>
            S: 250 ok
            C: RCPT TO:<c@d>
            S: 250 ok
            C: MAIL FROM:<e@f>
            S: 250 ok
            C: RCPT TO:<g@h>
            S: 250 ok
            C: DATA
            S: 354 go
            C: x
            C: .
            S: 250 ok",
        session: "220 Helo=m*1 c6 t2 m1 last250",
        messages: &[r"#1 <e@f> -> g@h +1 -0 Accepted 250 3B x\r\n"],
    },
    Case {
        name: "a new EHLO ends a transaction",
        script: r"
            S: 220 hi
            C: EHLO m
            S: 250 mx
            C: MAIL FROM:<a@b>
            S: 250 ok
            C: RCPT TO:<c@d>
            S: 250 ok
            C: EHLO n
            S: 250 mx
            C: DATA
            S: 503 no
            C: MAIL FROM:<e@f>
            S: 250 ok
            C: RCPT TO:<g@h>
            S: 250 ok
            C: BDAT 3
            C| abc
            S: 250 ok
            C: HELO o
            S: 250 mx",
        session: "220 Helo=o*3 offers() c9 5xx1 t2 last250",
        messages: &[r"#1 <e@f> -> g@h +1 -0 Aborted 3B bdat abc"],
    },
    Case {
        name: "the client leaves in mid-content",
        script: r"
            S: 220 hi
            C: EHLO m
            S: 250 mx
            C: MAIL FROM:<a@b>
            S: 250 ok
            C: RCPT TO:<c@d>
            S: 250 ok
            C: DATA
            S: 354 go
            C: Subject: x",
        session: "220 Ehlo=m*1 offers() c4 t1 last354",
        messages: &[r"#0 <a@b> -> c@d +1 -0 Aborted 12B Subject: x\r\n"],
    },
    Case {
        name: "the server closes",
        script: r"
            S: 220 hi
            C: EHLO m
            S: 250 mx
            C: MAIL FROM:<a@b>
            S: 250 ok
            C: RCPT TO:<c@d>
            S: 250 ok
            C: DATA
            S: 354 go
            C: Subject: x
            S: 421 time is up",
        session: "220 Ehlo=m*1 offers() c4 4xx1 t1 last421 421",
        messages: &[r"#0 <a@b> -> c@d +1 -0 Rejected 421 12B Subject: x\r\n"],
    },
    Case {
        name: "a greeting that is no welcome",
        script: r"
            S: 554 no SMTP service here
            C: QUIT
            S: 221 bye",
        session: "554 c1 5xx1 last221 quit",
        messages: &[],
    },
    Case {
        name: "a client that speaks first",
        script: r"
            C: EHLO ylmf-pc
            S: 220 hi
            S: 250 mx
            C: AUTH LOGIN
            S: 503 no
            C| QUIT",
        session: "220 Ehlo=ylmf-pc*1 offers() auth(LOGIN 1 -1 false) c3 5xx1 last503 quit",
        messages: &[],
    },
    Case {
        name: "unknown and malformed commands",
        script: r"
            S: 220 hi
            C: GET / HTTP/1.1
            S: 500 what
            C: MAIL <a@b>
            S: 501 what
            C: NOOP
            S: 250 ok
            C: VRFY x
            S: 252 perhaps
            C: RCPT TO:<x@y>
            S: 503 no
            C: \xff\xfe\x00
            S: 500 what
            C: QUIT
            S: 221 bye",
        session: "220 c7 unknown3 5xx4 last221 quit",
        messages: &[],
    },
    Case {
        name: "a PROXY header, text",
        script: r"
            C: PROXY TCP4 192.0.2.1 192.0.2.2 1 2
            S: 220 hi
            C: EHLO m
            S: 250 mx",
        session: "220 Ehlo=m*1 offers() c1 last250",
        messages: &[],
    },
    Case {
        name: "a PROXY header, binary",
        script: r"
            C| \r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02
            S: 220 hi
            C: EHLO m
            S: 250 mx",
        session: "220 Ehlo=m*1 offers() c1 last250",
        messages: &[],
    },
    Case {
        name: "an end of data that is answered with no code",
        script: r"
            S: 220 hi
            C: HELO [0.0.0.0]
            S: 250 mx
            C: MAIL FROM: <a@b>
            S: 250 ok
            C: RCPT TO: <c@d>
            S: 250 ok
            C: DATA
            S: 354 go
            C: x
            C: .
            S: 4.7.0 [IPTS04] deferred
            C| QUIT",
        session: "220 Helo=[0.0.0.0]*1 c5 t1 last354 quit",
        messages: &[r"#0 <a@b> -> c@d +1 -0 Unanswered 3B x\r\n"],
    },
    Case {
        name: "LMTP answers for each recipient",
        script: r"
            S: 220 hi
            C: LHLO m
            S: 250 mx
            C: MAIL FROM:<a@b>
            S: 250 ok
            C: RCPT TO:<c@d>
            S: 250 ok
            C: RCPT TO:<e@f>
            S: 250 ok
            C: DATA
            S: 354 go
            C: x
            C: .
            S: 250 one
            S: 452 other
            C: QUIT
            S: 221 bye",
        session: "220 Lhlo=m*1 offers() c6 4xx1 t1 m1 last221 quit",
        messages: &[r"#0 <a@b> -> c@d,e@f +2 -0 Accepted 250 3B x\r\n"],
    },
    Case {
        name: "mail that quotes a dialogue",
        script: r"
            S: 220 hi
            C: EHLO m
            S: 250 mx
            C: MAIL FROM:<a@b>
            S: 250 ok
            C: RCPT TO:<c@d>
            S: 250 ok
            C: DATA
            S: 354 go
            C: MAIL FROM:<evil@x>
            C: RCPT TO:<evil@y>
            C: DATA
            C: Subject: x
            C:
            C: EHLO m
            C: MAIL FROM:<evil@x>
            C: RCPT TO:<evil@y>
            C: DATA
            C: text
            C: ..
            C: MAIL FROM:<evil@x>
            C: RCPT TO:<evil@y>
            C: DATA
            C: Subject: y
            C: .
            S: 250 ok
            C: MAIL FROM:<e@f>
            S: 250 ok
            C: RCPT TO:<g@h>
            S: 250 ok
            C: DATA
            S: 354 go
            C: RCPT TO:<evil@y>
            C: DATA
            C: y
            C: .
            S: 250 ok
            C: QUIT
            S: 221 bye",
        session: "220 Ehlo=m*1 offers() c8 t2 m2 last221 quit",
        messages: &[
            r"#0 <a@b> -> c@d +1 -0 Accepted 250 175B MAIL FROM:<evil@x>\r\nRCPT TO:<evil@y>\r\nDATA\r\nSubject: x\r\n\r\nEHLO m\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<evil@y>\r\nDATA\r\ntext\r\n.\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<evil@y>\r\nDATA\r\nSubject: y\r\n",
            r"#1 <e@f> -> g@h +1 -0 Accepted 250 27B RCPT TO:<evil@y>\r\nDATA\r\ny\r\n",
        ],
    },
    Case {
        name: "replies that quote codes",
        script: r"
            S: 220 mx 220 ready 250 hi
            C: EHLO m
            S: 250-mx 250 354 go
            S: 250 SIZE 20354
            C: MAIL FROM:<a@b>
            S: 250 a@b 354 ok 250
            C: RCPT TO:<c@d>
            S: 550 250 not here 354
            C: RCPT TO:<e@f>
            S: 250 550 354
            C: DATA
            S: 354 250 go 550
            C: x
            C: .
            S: 451 250 queued as 550 250
            C: QUIT
            S: 221 bye 250",
        session: "220 Ehlo=m*1 offers(SIZE) c6 4xx1 5xx1 t1 last221 quit",
        messages: &[r"#0 <a@b> -> c@d,e@f +1 -1 Rejected 451 3B x\r\n"],
    },
    Case {
        name: "a server that never greets",
        script: r"
            C| EHLO\n
            S| 250\n
            C| rset\nstaRttLs\n
            S| 250\n
            S| 220\n",
        session: "Ehlo=*1 offers() Unanswered c3 last220 pipelined",
        messages: &[],
    },
    Case {
        name: "DATA and an empty content in one go behind RSET",
        script: r"
            S: 220 mail.example ESMTP ready
            C: EHLO client.example
            S: 250 OK
            C: RSET
            C: DATA
            C: .
            S: 250 reset
            S: 354 continue
            S: 250 queued",
        session: "220 Ehlo=client.example*1 offers() c3 last250 pipelined",
        messages: &[],
    },
    Case {
        name: "a BDAT that no server takes, the next command right behind",
        script: r"
            S: 220 hi
            C: EHLO m
            S: 250 CHUNKING
            C: BDAT 5 X
            C: MAIL FROM:<a@b>
            C: RCPT TO:<c@d>
            C: DATA
            S: 501 no
            S: 250 ok
            S: 250 ok
            S: 354 go
            C: x
            C: .
            S: 250 queued
            C: BDAT 15555555557777777777 LAST
            S: 521 no
            C: QUIT
            S: 221 bye",
        session: "220 Ehlo=m*1 offers() c7 unknown2 5xx2 t1 m1 last221 quit pipelined",
        messages: &[r"#0 <a@b> -> c@d +1 -0 Accepted 250 3B x\r\n"],
    },
    Case {
        name: "a server that turns to TLS right behind its answer",
        script: r"
            S: 220 hi
            C: STARTTLS
            S| 220 go\r\n\x16\x03\x03\x00\x05250 ok\r\n
            C| \x16\x03\x01\x00\x05RSET\r\n",
        session: "220 Established UntilStarttls c1 last220",
        messages: &[],
    },
];
