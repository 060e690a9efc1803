"""Writes common_passwords.txt.gz: the passwords that zxcvbn has counted in leaks, given names and frequent words.

zxcvbn lists a password that is also a name or a word there and not among the passwords, so they are taken too. Needs the package zxcvbn (4.5.0):

    python common_passwords.py
"""

import gzip
import pathlib

from zxcvbn.frequency_lists import FREQUENCY_LISTS

TAKEN = {"passwords": None, "female_names": None, "male_names": None, "english_wikipedia": 5_000, "us_tv_and_film": 5_000}

words = set()
for name, most in TAKEN.items():
    # The most frequent come first.
    words.update(FREQUENCY_LISTS[name][:most])
assert all(word == word.lower().strip() for word in words)

path = pathlib.Path(__file__).with_name("common_passwords.txt.gz")
path.write_bytes(gzip.compress(("\n".join(sorted(words)) + "\n").encode(), mtime=0))
print(len(words))
