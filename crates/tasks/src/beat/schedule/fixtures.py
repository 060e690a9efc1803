"""Writes fixtures.json: random schedules, and when Celery says that they are due next.

    $ python fixtures.py > fixtures.json

With Celery 5.7 and ephem installed.
"""

import json
import random
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from celery import Celery
from celery.schedules import crontab, schedule, solar

random.seed(20260301)

ZONES = [
    "UTC", "Europe/Berlin", "Europe/London", "America/New_York", "America/St_Johns", "America/Santiago",
    "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Seoul", "Asia/Kathmandu", "Africa/Casablanca", "Pacific/Apia",
]
APPS = {zone: Celery(zone, set_as_current=False) for zone in ZONES}
for zone, app in APPS.items():
    app.conf.timezone = zone

UNITS = {
    "minute": (60, 0), "hour": (24, 0), "day_of_month": (31, 1), "month_of_year": (12, 1), "day_of_week": (7, 0),
}
NAMES = {
    "month_of_year": "jan feb mar apr may jun jul aug sep oct nov dec".split(),
    "day_of_week": "sun mon tue wed thu fri sat".split(),
}


def number(unit):
    size, first = UNITS[unit]
    value = random.randrange(first, first + size)
    if unit in NAMES and random.random() < 0.3:
        return NAMES[unit][value - first]
    return f"{value:02}" if random.random() < 0.1 else str(value)


def part(unit):
    kind = random.random()
    if kind < 0.45:
        return number(unit)
    if kind < 0.7:
        return f"{number(unit)}-{number(unit)}"
    step = random.choice([1, 2, 3, 4, 5, 7, 10, 15, 20, 100])
    return f"*/{step}" if kind < 0.85 else f"{number(unit)}-{number(unit)}/{step}"


def field(unit, any_chance):
    if random.random() < any_chance:
        return "*"
    return ",".join(part(unit) for _ in range(random.choice([1, 1, 1, 2, 3])))


def transitions(zone):
    """The hours around which the clock of a zone is changed, of 2011 to 2030."""
    hour, found = datetime(2011, 1, 1, tzinfo=timezone.utc), []
    tz = ZoneInfo(zone)
    while hour.year < 2030:
        later = hour + timedelta(hours=6)
        if hour.astimezone(tz).utcoffset() != later.astimezone(tz).utcoffset():
            found.append(hour)
        hour = later
    return found


TRANSITIONS = {zone: transitions(zone) for zone in ZONES}


def instant(zone):
    if TRANSITIONS[zone] and random.random() < 0.5:
        near = random.choice(TRANSITIONS[zone])
        time = near + timedelta(seconds=random.randrange(-12 * 3600, 15 * 3600))
    else:
        time = datetime(2011, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=random.randrange(20 * 365 * 86400))
    if random.random() < 0.3:
        time += timedelta(microseconds=random.randrange(10**6))
    if random.random() < 0.3:
        time = time.replace(minute=random.choice([0, 30, 59]), second=0, microsecond=0)
    return time


def micros(time):
    return round((time - datetime(1970, 1, 1, tzinfo=timezone.utc)) / timedelta(microseconds=1))


def crontab_case():
    zone = random.choice(ZONES)
    fields = {unit: field(unit, chance) for unit, chance in
              zip(UNITS, [0.3, 0.4, 0.6, 0.7, 0.6])}
    last_run = instant(zone)
    local = last_run.astimezone(ZoneInfo(zone))
    try:
        cron = crontab(**fields, app=APPS[zone], nowfun=lambda: last_run)
    except ValueError:
        return None
    due = last_run + cron.remaining_estimate(local)
    if due <= last_run:
        # The last run was in the second pass of a repeated hour, and the clock skips the next: there Python's fold
        # means the hour before, and Celery's beat would not stop sending.
        return None
    return [list(fields.values()), zone, micros(last_run), micros(due)]


def interval_case(relative):
    zone = random.choice(ZONES)
    seconds = random.choice([0.25, 1, 1.5, 10, 45, 60, 90, 300, 900, 1800, 3600, 5400, 7200, 21600, 86400, 90000,
                             172800, 604800])
    last_run = instant(zone)
    every = schedule(timedelta(seconds=seconds), relative, nowfun=lambda: last_run, app=APPS[zone])
    due = last_run + every.remaining_estimate(last_run.astimezone(ZoneInfo(zone)))
    return [round(seconds * 1000), relative, zone, micros(last_run), micros(due)]


ODD = [
    "", ",", "1,", "*", " *", "* ", "*5", "*/", "*/0", "*/1", "*/5", "*/5 ", " */5", "*/-1", "*/a", "*/5/2", "*/1_0",
    "*/100", "*/99999999999999999999999", "1-5", "5-1", "1-5/2", "5-1/2", "1-5/", "1-5/0", "1-5/x", "1-5-9", "1-5 ",
    " 1-5", "1 -5", "1- 5", "1-", "-1", "-", "1--5", "5/2", " 3", "3 ", " 3 ", "+3", "-0", "0", "00", "007", "1_0",
    "1__0", "_1", "1_", "3.0", "0x3", "mon", "MON", "Monday", "monkey", "mo", "m", "sun", "sat-mon", "fri-sun", "jan",
    "jan-mar", "march", "dec-feb", "mon-jan", "mar", "mon/2", "mon-fri/2", "fri-mon/2", "nov-feb/3", "6", "7", "8",
    "12", "13", "23", "24", "31", "32", "59", "60", "100", "99999999999999999999999", "1,2,3", "1, 2", "1 ,2",
    "1,*/20", "*,5", "1;2", "1-5,7", "1-5,10-3/2", "?", "L", "1#2", "@daily", "0-6", "0-7", "1-7", "sun-sat", "1-31",
    "22-2", "22-2/3", "é", "mön",
]


def field_case(unit, spec):
    try:
        return [unit, spec, sorted(getattr(crontab(**{unit: spec}), unit))]
    except Exception:
        return [unit, spec, None]


def solar_case():
    event = random.choice(sorted(solar._all_events))
    latitude, longitude = round(random.uniform(-48, 48), 3), round(random.uniform(-180, 180), 3)
    last_run = instant("UTC")
    sun = solar(event, latitude, longitude, app=APPS["UTC"], nowfun=lambda: last_run)
    return [event, latitude, longitude, micros(last_run), micros(last_run + sun.remaining_estimate(last_run))]


crontabs = []
while len(crontabs) < 2400:
    case = crontab_case()
    if case:
        crontabs.append(case)

FIXTURES = {
    "crontabs": crontabs,
    "fields": [field_case(unit, spec) for spec in ODD for unit in UNITS],
    "intervals": [interval_case(random.random() < 0.8) for _ in range(600)],
    "solar": [solar_case() for _ in range(300)],
}


def lines(cases):
    return ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)


print("{" + ",\n".join(f'"{kind}": [\n{lines(cases)}]' for kind, cases in FIXTURES.items()) + "}")
