"""A mail server and a mail client that turn to TLS, for captures: smtp-source and smtp-sink cannot.

starttls.py server ADDRESS CERTIFICATE KEY
starttls.py client ADDRESS SESSIONS BYTES
"""

import smtplib
import socket
import ssl
import sys
import threading


def serve(connection, context):
    # Unbuffered before TLS: what follows the line STARTTLS belongs to TLS.
    stream = connection.makefile("rb", buffering=0)
    offers = [b"250-mx.bench.example", b"250-PIPELINING", b"250-STARTTLS", b"250 8BITMIME"]

    def say(*answers):
        connection.sendall(b"".join(answer + b"\r\n" for answer in answers))

    say(b"220 mx.bench.example ESMTP")
    while line := stream.readline(4096):
        verb = line[:8].upper().rstrip()
        if verb.startswith(b"EHLO"):
            say(*offers)
        elif verb == b"STARTTLS":
            say(b"220 2.0.0 ready")
            connection = context.wrap_socket(connection, server_side=True)
            stream = connection.makefile("rb")
            offers.remove(b"250-STARTTLS")
        elif verb == b"DATA":
            say(b"354 go on")
            while stream.readline(4096) not in (b".\r\n", b""):
                pass
            say(b"250 2.0.0 taken")
        elif verb == b"QUIT":
            say(b"221 2.0.0 bye")
            break
        else:
            say(b"250 2.0.0 well")
    connection.close()


def server(address, certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server((address, 25), backlog=128)

    def one(connection):
        try:
            serve(connection, context)
        except OSError as error:
            print("starttls.py:", error, file=sys.stderr)

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=one, args=(connection,), daemon=True).start()


def client(address, sessions, size):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    line = "a line of sixty-four bytes, to be read by nobody but the bench.\r\n"
    body = "Subject: a letter\r\nFrom: <sender@client.bench.example>\r\n\r\n" + line * (size // len(line))
    numbers = iter(range(sessions))
    failures = []

    def some():
        for number in numbers:
            try:
                with smtplib.SMTP(address, 25, local_hostname="client.bench.example", timeout=60) as smtp:
                    smtp.starttls(context=context)
                    smtp.sendmail("sender@client.bench.example", [f"{number}@mx.bench.example"], body)
            except (OSError, smtplib.SMTPException) as error:
                failures.append(error)

    threads = [threading.Thread(target=some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(f"{len(failures)} sessions failed, the first with {failures[0]}")


if sys.argv[1] == "server":
    server(sys.argv[2], sys.argv[3], sys.argv[4])
else:
    client(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
