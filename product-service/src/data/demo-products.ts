// The catalogue that a demo begins with. The ids are fixed, so that a product is known again whenever it is seeded.
import type { CatalogueEntry, Product } from '../domain/product.ts';

type DemoProduct = CatalogueEntry & Pick<Product, 'id' | 'stock'>;
/** A price in cents and the units in stock, in this order, end each row. */
type Row = [id: string, name: string, description: string, cents: number, stock: number];

const rows: Record<string, Row[]> = {
  kitchen: [
    [
      '019b8d2b-8c00-7af8-b33f-d5143135f3c8',
      'Enamel Kettle',
      'A 1.7 litre kettle of enamelled steel for every hob, with a handle that stays cool.',
      4900,
      240,
    ],
    [
      '019b8d62-7a80-791e-911c-d545efb352ef',
      'Cast-Iron Skillet',
      'A 26 cm pan that comes seasoned, keeps the heat and lasts longer than its owner.',
      3950,
      310,
    ],
    [
      '019b8d99-6900-7f38-b504-35303bbeb684',
      "Chef's Knife",
      'A 20 cm blade of forged carbon steel with a walnut handle, balanced at the bolster.',
      8900,
      150,
    ],
    [
      '019b8dd0-5780-7153-8195-6e398412e079',
      'Oak Chopping Board',
      'Two centimetres of oiled oak, with a groove that catches the juice.',
      3400,
      420,
    ],
    [
      '019b8e07-4600-735a-821d-6254bb1b399f',
      'Stoneware Mug',
      'Glazed by hand in a deep blue; holds 350 ml of coffee or tea.',
      1450,
      980,
    ],
    [
      '019b8e3e-3480-7734-838b-771b7294a940',
      'Pepper Mill',
      'Beech and a ceramic grinder, from fine to coarse with a turn of the knob.',
      2750,
      365,
    ],
    [
      '019b8e75-2300-76ed-8d5a-94e3dc6b6b82',
      'Salad Bowl',
      'A wide bowl of olive wood for six, each with a grain of its own.',
      5600,
      130,
    ],
  ],
  home: [
    [
      '019b8eac-1180-7a40-bb59-de7d10a1b9ce',
      'Wool Blanket',
      'Woven of undyed Shetland wool, 140 by 200 cm, warm without weight.',
      11900,
      180,
    ],
    [
      '019b8ee3-0000-7398-bacc-02f81a13701e',
      'Linen Cushion',
      'A cover of washed linen with a filling of feathers, 50 by 50 cm.',
      3900,
      350,
    ],
    [
      '019b8f19-ee80-778c-992f-339273e8c4da',
      'Reading Lamp',
      'A brass lamp with an arm that bends where the page is; takes any E14 bulb.',
      7400,
      210,
    ],
    [
      '019b8f50-dd00-7e7b-af91-0121217ab534',
      'Beeswax Candles',
      'Six candles that burn for nine hours each and smell of honey.',
      2400,
      640,
    ],
    [
      '019b8f87-cb80-7596-8117-4e831b8eeb81',
      'Wall Clock',
      'A silent movement behind a plain white dial, 30 cm across.',
      4500,
      275,
    ],
    [
      '019b8fbe-ba00-74fc-a627-7d73f3478a0b',
      'Bath Towel',
      'Heavy cotton terry, 70 by 140 cm, soft from the first wash.',
      2900,
      720,
    ],
  ],
  garden: [
    [
      '019b8ff5-a880-7728-834c-5cf01d2df479',
      'Hand Trowel',
      'A stainless blade with a depth scale and an ash handle.',
      1900,
      560,
    ],
    [
      '019b902c-9700-75d4-9b34-f56cefbbd717',
      'Watering Can',
      'Eight litres of galvanised steel with a brass rose that comes off.',
      4200,
      230,
    ],
    [
      '019b9063-8580-7d5b-9cc4-cf8482c1743c',
      'Pruning Shears',
      'Bypass blades that cut twigs up to two centimetres, for either hand.',
      3600,
      340,
    ],
    [
      '019b909a-7400-7423-8e36-f30f92c47014',
      'Bird Feeder',
      'A cedar house with a glass front: the seeds stay dry and in sight.',
      3100,
      195,
    ],
    [
      '019b90d1-6280-7d8b-a5f1-c7b66e51ab65',
      'Herb Seeds',
      'Basil, chives, parsley and thyme, enough for a window sill or a bed.',
      890,
      1000,
    ],
    [
      '019b9108-5100-72c1-9598-e9b9739258be',
      'Garden Gloves',
      'Goat leather palms and a cotton back; they let you feel what you weed.',
      1650,
      480,
    ],
  ],
  office: [
    [
      '019b913f-3f80-741b-859c-479d04bbeebd',
      'Dotted Notebook',
      'A5, 192 pages of thick cream paper that lies flat and does not bleed.',
      1250,
      900,
    ],
    [
      '019b9176-2e00-7957-b48b-769ecfd86b2d',
      'Fountain Pen',
      'A steel nib in medium, with a converter for bottled ink.',
      4800,
      260,
    ],
    [
      '019b91ad-1c80-7972-96ce-80bff0a28d06',
      'Desk Organiser',
      'Bamboo trays for pens, paper and the phone, stacked as you like.',
      2950,
      300,
    ],
    [
      '019b91e4-0b00-77e6-86e8-2dad83aae206',
      'Laptop Stand',
      'Folded aluminium that lifts the screen to the eyes and lets the air through.',
      5400,
      410,
    ],
    [
      '019b921a-f980-7968-8616-9cf4cfe94574',
      'Felt Desk Mat',
      'Merino felt, 80 by 40 cm: quiet for the keys, warm for the wrists.',
      3700,
      170,
    ],
    [
      '019b9251-e800-7312-b05b-e32b9ec1cae6',
      'Paper Clips',
      'A hundred brass clips in a tin that can be filled again.',
      750,
      850,
    ],
  ],
  outdoor: [
    [
      '019b9288-d680-7abf-a6a9-a83838960a58',
      'Vacuum Flask',
      'Steel, 750 ml: hot for twelve hours, cold for a whole day.',
      3500,
      520,
    ],
    [
      '019b92bf-c500-7bc6-8e09-fdee9365c9c5',
      'Day Pack',
      'Twenty litres of waxed canvas with a sleeve for a laptop or a map.',
      9800,
      140,
    ],
    [
      '019b92f6-b380-7fa1-a44d-67b109f2f22b',
      'Head Lamp',
      '300 lumens, a red light for the night, charged by USB-C.',
      4400,
      290,
    ],
    [
      '019b932d-a200-72ba-9d88-66577a28e908',
      'Camping Hammock',
      'Parachute silk that carries 200 kg, with straps that spare the bark.',
      5900,
      160,
    ],
    [
      '019b9364-9080-7b8e-bd19-19d8ae497c51',
      'Pocket Knife',
      'A blade, a saw and a corkscrew in a grip of birch.',
      3200,
      380,
    ],
    [
      '019b939b-7f00-7a5b-b4af-3163889b85b9',
      'Enamel Plate',
      'Light, unbreakable and good for the fire; the rim is dark green.',
      1150,
      610,
    ],
  ],
};

export const demoProducts: readonly DemoProduct[] = Object.entries(rows).flatMap(([category, products]) =>
  products.map(([id, name, description, cents, stock]) => ({
    id,
    name,
    description,
    category,
    price: { amount: cents, currency: 'USD' },
    stock,
  })),
);
