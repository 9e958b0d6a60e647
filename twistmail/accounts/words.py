"""Words for passwords that people have to read out, remember and type: short, common, hard to mishear."""

from __future__ import annotations

_TEXT = """
    acorn acre actor agent album alley almond alpine amber anchor angle ankle apple apron arena arrow aspen atlas attic autumn badge
    bagel baker bakery ballad balsa bamboo banjo barley barn basalt basil basin basket beach beacon beaver bench berry birch bishop
    bison blanket blossom bobbin bonnet border bottle boulder bracket branch brass bread breadth breeze brick bridge brisk broom
    brush bucket buckle bugle bundle burrow butter button cabin cable cactus camel camera canal canary candle canoe canvas canyon
    caper caramel carbon cargo carpet carrot cashew castle cedar celery cellar cello chalk chapel cherry chess chestnut chimney
    chorus cider cinema circle citrus cloud clover coast cobalt cobble cocoa comet compass copper coral corner cotton cradle crane
    crater cricket crocus crown crystal cuckoo cumin curtain cycle daisy damson dancer dapple dawn delta denim desert diamond diary
    dinner dollar dolphin donkey dragon drawer drum dune eagle easel echo eclipse elbow elder elm ember engine estate evening fabric
    falafel falcon farmer feather fennel fern ferry fiddle field figure finch fjord flag flame flannel flint flute forest fossil
    fountain fox freckle frost funnel gallery garden garlic garnet gazelle gecko ginger giraffe glacier globe glove goblet gondola
    granite grape gravel grove guitar gull hammer hammock hamster harbor harp harvest hazel heather hedge helmet heron hickory hinge
    hollow honey horizon hornet hotel hunter icicle iguana indigo inlet iris island ivory ivy jacket jade jasmine jelly jersey jewel
    jigsaw journal jungle juniper kayak kernel kettle keyhole kitten kiwi knight koala ladder lagoon lantern lapel larch lark laurel
    lavender lemon lemur lentil letter lilac lily linen lizard lobster locket lotus lumber lunar lute lynx magnet magpie mallet
    mango maple marble market marsh meadow melon mentor merlin meteor mill mint mirror mitten mole monsoon moose morning mortar
    mosaic motor mound muffin mural museum musket mustard napkin narrow nectar needle nest nickel noble noodle nutmeg oak oasis oat
    ocean olive onion opal orange orbit orchard orchid otter oven owl oyster paddle pagoda palace panda pansy papaya paper parcel
    parrot parsley pasture patio peach pear pearl pebble pelican pencil pepper piano pickle pigeon pillow pine pioneer planet plaza
    plum pocket poem polar pollen pond poplar poppy portal potato pottery prairie prism puddle puffin pumpkin puzzle quail quarry
    quartz quay quill quilt quince rabbit radar radio raft raisin ranch raven ribbon ridge river robin rocket rooster rose rowan
    ruby rudder saddle saffron sage sailor salad salmon sandal sapphire satin saucer scarf school scooter season sequoia sesame
    shadow shell shelter sherry shovel silver siren sketch slate sled sleet smoke socket sonnet sparrow spice spider spinach spindle
    spiral sponge spoon spruce squash stable stadium stamp statue steam stone stork straw summer sunset swan sycamore syrup table
    talon tango tapestry teapot temple tennis terrace thimble thistle thunder thyme ticket tiger timber toast tomato torch tower
    tractor trail trellis tulip tundra tunnel turban turnip turtle tweed twig umbrella valley vanilla velvet verse viola violet
    violin vista volcano voyage waffle wagon walnut walrus water weaver whale wheat wheel whistle willow window winter wizard wolf
    wombat woodland wool wren yacht yarn yellow yogurt zebra zephyr zinc zipper zucchini zither yodel walkway
"""
WORDS: tuple[str, ...] = tuple(_TEXT.split())
