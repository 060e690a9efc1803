//! What stands on the shelves of a new shop.

/// A product as it is first put into the database.
pub(crate) struct SampleProduct {
    pub(crate) slug: &'static str,
    pub(crate) category: &'static str,
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    /// A line each: a name, a colon, a value.
    pub(crate) facts: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) price_cents: i64,
}

const TEA: &str = "Tea";
const TEAWARE: &str = "Teaware";

/// Products of one category stand together; each has its picture in `templates/art.html`.
pub(crate) const PRODUCTS: [SampleProduct; 9] = [
    SampleProduct {
        slug: "sencha",
        category: TEA,
        name: "Morning Sencha",
        summary: "Steamed green tea: fresh grass, a little sea air.",
        description: "The first flush of the Yabukita bushes, steamed within the hour and rolled into dark needles. \
                      It wakes you gently and forgives a distracted hand with the kettle.",
        facts: "Grown in: Uji, Japan\nWater: 70 °C\nTime: 90 seconds\nInfusions: three",
        unit: "for 100 g",
        price_cents: 980,
    },
    SampleProduct {
        slug: "jasmine",
        category: TEA,
        name: "Jasmine Pearls",
        summary: "Green tea rolled by hand, scented with fresh flowers.",
        description: "Two leaves and a bud, rolled into pearls and laid among jasmine blossoms for six nights. \
                      In a glass pot you can watch them open.",
        facts: "Grown in: Fujian, China\nWater: 80 °C\nTime: 2 minutes\nInfusions: four",
        unit: "for 50 g",
        price_cents: 1_150,
    },
    SampleProduct {
        slug: "oolong",
        category: TEA,
        name: "High Mountain Oolong",
        summary: "Half oxidised: cream, orchid, a long finish.",
        description: "From gardens above 1,400 metres, where mist keeps the leaves slow and sweet. \
                      Give it a small pot, plenty of leaf and many short infusions.",
        facts: "Grown in: Alishan, Taiwan\nWater: 95 °C\nTime: 1 minute\nInfusions: six or more",
        unit: "for 50 g",
        price_cents: 1_340,
    },
    SampleProduct {
        slug: "lapsang",
        category: TEA,
        name: "Smoked Lapsang",
        summary: "Black tea dried over pine: a camp fire, and honey after.",
        description: "Withered and dried over smouldering pine roots, as it has been for four centuries. \
                      Loved or left; good with old cheese and bad weather.",
        facts: "Grown in: Wuyi, China\nWater: 100 °C\nTime: 3 minutes\nInfusions: two",
        unit: "for 100 g",
        price_cents: 890,
    },
    SampleProduct {
        slug: "peony",
        category: TEA,
        name: "White Peony",
        summary: "White tea, only withered and dried: hay and pear.",
        description: "Nothing is rolled and nothing is roasted: young leaves and silver buds rest in the shade for two days, \
                      and that is all. Hard to brew badly.",
        facts: "Grown in: Fuding, China\nWater: 85 °C\nTime: 4 minutes\nInfusions: three",
        unit: "for 50 g",
        price_cents: 1_200,
    },
    SampleProduct {
        slug: "chamomile",
        category: TEA,
        name: "Evening Chamomile",
        summary: "Whole flowers, no caffeine: apple and straw.",
        description: "Picked by hand at noon, when the flowers are dry and open. \
                      For the end of the day, with honey or without.",
        facts: "Grown in: Slavonia, Croatia\nWater: 100 °C\nTime: 6 minutes\nCaffeine: none",
        unit: "for 60 g",
        price_cents: 650,
    },
    SampleProduct {
        slug: "teapot",
        category: TEAWARE,
        name: "Clay Teapot",
        summary: "Unglazed red clay, thrown on the wheel; pours to the last drop.",
        description: "The clay keeps warm and grows darker with the years. Rinse it with hot water, never with soap, \
                      and keep it for one kind of tea.",
        facts: "Holds: 350 ml\nMade of: unglazed clay\nWashing: by hand",
        unit: "each",
        price_cents: 3_800,
    },
    SampleProduct {
        slug: "cups",
        category: TEAWARE,
        name: "Two Cups",
        summary: "One blue, one sand: glazed stoneware without handles.",
        description: "When they are cool enough to hold, the tea is cool enough to drink. No two are quite alike.",
        facts: "Hold: 160 ml and 120 ml\nMade of: stoneware\nWashing: by hand or machine",
        unit: "the pair",
        price_cents: 2_200,
    },
    SampleProduct {
        slug: "whisk",
        category: TEAWARE,
        name: "Bamboo Whisk",
        summary: "Eighty tines, split from one piece of bamboo.",
        description: "For powdered tea: soak the tines in warm water for a minute, then whisk from the wrist until the foam stands. \
                      Let it dry with the tines up.",
        facts: "Tines: 80\nMade of: bamboo\nWashing: water only",
        unit: "each",
        price_cents: 1_450,
    },
];
