"""The shop's confirmations, by a worker of Python's: the twin of src/jobs/confirmation.rs.

    SHOP_DATA=shop-data CELERY_BROKER_URL=redis://127.0.0.1:6379/0 celery -A worker worker -Q mail
"""

import os
import pathlib
import sqlite3
from email.message import EmailMessage

from celery import Celery

DATA = pathlib.Path(os.environ.get("SHOP_DATA", "shop-data"))
app = Celery("shop", broker=os.environ["CELERY_BROKER_URL"])


@app.task(name="shop.tasks.send_confirmation", acks_late=True, ignore_result=True, autoretry_for=(Exception,), retry_backoff=2, max_retries=8)
def send_confirmation(number):
    shop = sqlite3.connect(DATA / "shop.sqlite3", timeout=5)
    query = "SELECT name, email, total_cents, confirmation FROM shop_order WHERE number = ?"
    name, email, total, confirmation = shop.execute(query, [number]).fetchone()
    if confirmation == "sent":
        return
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Five Leaves <shop@localhost>", email, f"Your order {number}"
    mail.set_content(f"Dear {name},\n\nthank you for your order {number}, of €{total / 100:.2f}.\n\nFive Leaves\n")
    (DATA / "mail").mkdir(exist_ok=True)
    (DATA / "mail" / f"{number}.eml").write_bytes(mail.as_bytes())
    with shop:
        shop.execute("UPDATE shop_order SET confirmation = 'sent' WHERE number = ?", [number])
