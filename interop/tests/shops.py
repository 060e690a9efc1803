"""The shop and what stands before it: processes of it, and nginx."""

import shutil
import subprocess

from servers import Server, binary

NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;

    upstream shop {{
        {upstreams}
    }}
    server {{
        listen 127.0.0.1:{port}{tls};
        location / {{
            proxy_pass http://shop;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_next_upstream error timeout;
            add_header X-Served-By $upstream_addr always;
        }}
    }}
}}
"""


class Shop(Server):
    """One process of the shop; started again, it has its old port."""

    def __init__(self, name, settings, directory, port=None):
        command = [binary("SHOP", "shop")]
        if port is not None:
            command = ["env", f"PORT={port}", *command]
        super().__init__(name, command, {"SECRET_KEY": None} | settings, directory)
        if port is not None:
            self.port, self.url = port, f"http://127.0.0.1:{port}"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def again(self):
        return Shop(self.name, self.settings, self.log_path.parent, self.port).wait_until_listening()


# Such as `listen 127.0.0.1:443 ssl; …`, in the place of the rest of the line.
TLS = """ ssl;
        ssl_certificate certificate.pem;
        ssl_certificate_key key.pem"""


class Nginx(Server):
    """Before some shops; with `tls` it speaks HTTPS, with a certificate that nobody else has signed."""

    def __init__(self, shops, directory, *, tls=False):
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        assert program, "nginx is missing: apt-get install --yes nginx"
        # Its port is known once there is a process: so a shell waits for the file.
        command = ["sh", "-c", f'while [ ! -e nginx.conf ]; do sleep 0.01; done; exec "{program}" -p . -c nginx.conf']
        super().__init__("nginx", command, {}, directory)
        # Asked anew for each request, a process that is back has visitors at once.
        upstreams = " ".join(f"server 127.0.0.1:{shop.port} max_fails=0;" for shop in shops)
        if tls:
            self.url = self.url.replace("http:", "https:")
            sign(directory)
        conf = NGINX.format(upstreams=upstreams, port=self.port, tls=TLS if tls else "")
        (directory / "nginx.conf.new").write_text(conf)
        (directory / "nginx.conf.new").rename(directory / "nginx.conf")


def sign(directory):
    """A key, and a certificate for this machine."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        + ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        + ["-keyout", "key.pem", "-out", "certificate.pem"],
        cwd=directory,
        check=True,
        capture_output=True,
    )
