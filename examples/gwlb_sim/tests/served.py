"""A server that says in a file what has reached it: HTTP on port 80, HTTPS on port 443 where there is a certificate.

served.py LOG [CERTIFICATE]
"""

import http.server
import ssl
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def read_body(self):
        """Whether the whole body has come."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            length = int(self.headers.get("Content-Length", 0))
            return len(self.rfile.read(length)) == length
        while length := int(self.rfile.readline() or b"-1", 16):
            if length < 0 or len(self.rfile.read(length + 2)) < length + 2:
                return False
        return self.rfile.readline() == b"\r\n"

    def answer(self):
        if not self.read_body():
            self.close_connection = True
            return
        port = self.server.server_address[1]
        with open(sys.argv[1], "a") as log:
            log.write(f"{port} {self.command} {self.headers.get('Host')} {self.path}\n")
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    do_GET = do_PUT = do_DELETE = answer

    def log_message(self, *arguments):
        pass


if len(sys.argv) > 2:
    secure = http.server.ThreadingHTTPServer(("", 443), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2])
    secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=secure.serve_forever, daemon=True).start()
http.server.ThreadingHTTPServer(("", 80), Handler).serve_forever()
