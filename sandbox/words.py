"""Word lists the demo data is made of."""

from __future__ import annotations

import random
import unicodedata

FIRST_NAMES = (
    "Ada", "Amara", "Anders", "Anika", "Aylin", "Beatriz", "Benedikt", "Carmen", "Chiara", "Daniel", "Dilara", "Elif",
    "Emil", "Esther", "Farid", "Freya", "Gabriel", "Greta", "Hana", "Henrik", "Ines", "Ivan", "Jakob", "Jelena",
    "Jonas",
    "Kaia", "Karim", "Lena", "Leo", "Linnéa", "Lucía", "Mads", "Maja", "Marek", "Mei", "Miriam", "Nadia", "Nils",
    "Noor",
    "Olga", "Omar", "Paula", "Piotr", "Priya", "Rafael", "Renée", "Rosa", "Samir", "Sofie", "Søren", "Tariq", "Tessa",
    "Tomás", "Ulla", "Vera", "Viktor", "Wei", "Yara", "Youssef", "Zoë",
)  # fmt: skip
LAST_NAMES = (
    "Adeyemi", "Almeida", "Andersson", "Bachmann", "Bauer", "Becker", "Bianchi", "Brandt", "Castro", "Chen", "Costa",
    "Dahl", "Demir", "Dubois", "Eriksen", "Fernández", "Fischer", "Fontaine", "García", "Haddad", "Hansen", "Hoffmann",
    "Ibrahim", "Ivanova", "Jansen", "Kaya", "Keller", "Khan", "Kowalski", "Krüger", "Larsen", "Lindqvist", "López",
    "Marino", "Martens", "Meyer", "Moreau", "Müller", "Nakamura", "Novák", "O'Brien", "Okafor", "Olsen", "Petrov",
    "Ramos", "Richter", "Rossi", "Sandoval", "Schmidt", "Silva", "Sørensen", "Szabó", "Tanaka", "Varga", "Vogel",
    "Wagner", "Weber", "Wójcik", "Yılmaz", "Zimmermann",
)  # fmt: skip
COMPANY_HEADS = (
    "Alpenglow", "Amber", "Atlas", "Birch", "Blue Harbor", "Bright", "Cedar", "Cobalt", "Compass", "Copper", "Delta",
    "Evergreen", "Falcon", "Fjord", "Garnet", "Granite", "Harbor", "Hazel", "Helix", "Horizon", "Iris", "Juniper",
    "Keystone", "Lakeside", "Lantern", "Linden", "Lumen", "Maple", "Meridian", "Mistral", "Nimbus", "North Star", "Oak",
    "Orchard", "Orion", "Pebble", "Pine", "Polar", "Quartz", "Rhine", "River", "Saffron", "Sequoia", "Silver",
    "Solstice",
    "Summit", "Tern", "Thistle", "Topaz", "Vantage", "Vela", "Willow", "Zephyr",
)  # fmt: skip
COMPANY_TAILS = (
    "Analytics", "Bakery", "Biotech", "Capital", "Cycles", "Dental", "Energy", "Engineering", "Foods", "Freight",
    "Furniture", "Health", "Hotels", "Instruments", "Labs", "Learning", "Logistics", "Machines", "Media", "Optics",
    "Partners", "Pharma", "Press", "Robotics", "Software", "Studios", "Systems", "Textiles", "Tools", "Ventures",
)  # fmt: skip
COMPANY_FORMS = ("GmbH", "Inc.", "Ltd", "AB", "S.A.", "B.V.", "ApS", "LLC", "AG", "SpA")
CITIES = (
    ("Berlin", "BE", "10115", "Germany", "DE", 52.52, 13.405),
    ("Hamburg", "HH", "20095", "Germany", "DE", 53.551, 9.994),
    ("Munich", "BY", "80331", "Germany", "DE", 48.137, 11.575), ("Vienna", "", "1010", "Austria", "AT", 48.208, 16.372),
    ("Zurich", "ZH", "8001", "Switzerland", "CH", 47.377, 8.541), ("Paris", "", "75001", "France", "FR", 48.857, 2.352),
    ("Lyon", "", "69001", "France", "FR", 45.764, 4.836), ("Madrid", "", "28001", "Spain", "ES", 40.417, -3.704),
    ("Porto", "", "4000-001", "Portugal", "PT", 41.158, -8.629), ("Milan", "MI", "20121", "Italy", "IT", 45.464, 9.19),
    ("Amsterdam", "", "1012", "Netherlands", "NL", 52.368, 4.904),
    ("Copenhagen", "", "1050", "Denmark", "DK", 55.676, 12.568),
    ("Malmö", "", "211 20", "Sweden", "SE", 55.605, 13.004), ("Oslo", "", "0150", "Norway", "NO", 59.914, 10.752),
    ("Kraków", "", "31-001", "Poland", "PL", 50.065, 19.945), ("Dublin", "", "D01", "Ireland", "IE", 53.35, -6.26),
    ("Boston", "MA", "02108", "United States", "US", 42.36, -71.058),
    ("Austin", "TX", "78701", "United States", "US", 30.267, -97.743),
    ("Portland", "OR", "97201", "United States", "US", 45.515, -122.678),
    ("Toronto", "ON", "M5H", "Canada", "CA", 43.653, -79.383),
    ("Singapore", "", "048616", "Singapore", "SG", 1.352, 103.82),
    ("Sydney", "NSW", "2000", "Australia", "AU", -33.869, 151.209),
)  # fmt: skip
STREETS = ("Market Street", "Station Road", "Mill Lane", "Harbour Row", "Garden Street", "King's Road", "Linden Avenue",
           "Bridge Street", "Old Town Square", "Canal Walk", "Park Lane", "Foundry Yard")  # fmt: skip
TITLES = ("Head of Procurement", "Chief Financial Officer", "Operations Manager", "Software Engineer", "Office Manager",
          "Director of Sales", "Data Analyst", "IT Administrator", "Chief Executive Officer", "Product Manager",
          "Marketing Lead", "Controller", "Plant Manager", "Head of People")  # fmt: skip
DEPARTMENTS = ("Finance", "Operations", "Engineering", "Sales", "Marketing", "People", "IT", "Legal")
DEALS = ("Platform rollout", "Annual renewal", "Seat expansion", "Pilot", "Support upgrade", "Data migration",
         "Training package", "Second site", "Hardware refresh", "Analytics add-on")  # fmt: skip
NEXT_STEPS = ("Send the revised quote", "Call the buyer on Monday", "Wait for legal", "Book the workshop",
              "Ask for the purchase order", "Demo for the second team")  # fmt: skip
PROBLEMS = ("Invoice shows the wrong address", "Cannot log in since this morning", "Export stops at 10,000 rows",
            "Delivery arrived incomplete", "Question about the new contract", "Report is slow on Mondays",
            "Please add a second administrator", "Refund has not arrived")  # fmt: skip
ERRANDS = ("Call back", "Send the offer", "Prepare the demo", "Check the contract", "Follow up on the trial",
           "Thank for the order")  # fmt: skip
COFFEES = ("House Blend", "Ethiopia Guji", "Colombia Huila", "Decaf Nocturne", "Kenya Nyeri", "Office Box",
           "Espresso Classic", "Single Origin Club", "Cold Brew Kit", "Grinder Care", "Brew Course",
           "Gift Card")  # fmt: skip


def person(rng: random.Random) -> tuple[str, str]:
    """First and last name."""
    return rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)


def company(rng: random.Random) -> str:
    return f"{rng.choice(COMPANY_HEADS)} {rng.choice(COMPANY_TAILS)} {rng.choice(COMPANY_FORMS)}"


def phone(rng: random.Random) -> str:
    return f"+49 30 {rng.randint(1_000_000, 9_999_999)}"


def slug(text: str) -> str:
    """Letters and digits a host name or mail address can hold: `Søren O'Brien` -> `soren.obrien`."""
    bare = unicodedata.normalize("NFKD", text.lower().replace("ø", "o").replace("ł", "l").replace("ı", "i"))
    kept = "".join(
        letter if letter.isascii() and letter.isalnum() else " " if letter in " -." else "" for letter in bare
    )
    return ".".join(kept.split())
