"""Wi-Fi: which network, which not, and what when it goes."""

WORKSHOP = {"ssid": "workshop", "key": "thermometer", "rssi": -70}
LAB = {"ssid": "lab", "key": "celsius-scale", "rssi": -50}
CAFE = {"ssid": "cafe", "key": None, "rssi": -60}


def test_the_strongest_of_the_known_networks_is_taken_and_the_other_when_it_goes(life):
    life.knows_networks(("workshop", "thermometer"), ("lab", "celsius-scale"))
    life.world.update(networks=[WORKSHOP, CAFE, LAB])
    life.boots()
    life.says("wifi", "on lab")
    life.says("confirm")
    life.world.wifi(False, "lab")
    life.says("wifi", "lost lab")
    life.says("wifi", "on workshop")


def test_an_open_network_is_joined_without_a_key(life):
    life.knows_networks(("cafe", ""))
    life.world.update(networks=[WORKSHOP, CAFE])
    life.boots()
    life.says("wifi", "on cafe")
    life.says("confirm")


def test_a_wrong_key_is_said_and_the_other_network_tried(life):
    life.knows_networks(("workshop", "fahrenheit"), ("lab", "celsius-scale"))
    life.world.update(networks=[{**WORKSHOP, "rssi": -40}, {**LAB, "up": False}])
    life.boots()
    life.says("wifi", "workshop: wrong key")
    life.world.wifi(True)
    life.says("wifi", "on lab")
    life.says("confirm")
    assert "fahrenheit" not in "".join(event.text for event in life.events)


def test_an_open_network_with_a_known_name_is_not_joined(life):
    life.world.update(networks=[{**WORKSHOP, "key": None}])
    life.boots()
    life.says("wifi", "asks for no key, but one is stored")
    life.measures(3)
    assert not life.front.requests
    life.world.update(networks=[WORKSHOP])
    life.says("confirm")


def test_a_network_that_gives_no_address_is_left_for_another(life):
    life.knows_networks(("workshop", "thermometer"), ("lab", "celsius-scale"))
    life.world.update(networks=[WORKSHOP, {**LAB, "no_address": True}])
    life.boots()
    life.says("wifi", "on workshop")
    life.says("confirm")


def test_a_network_lost_in_the_middle_of_a_download_costs_no_more_than_time(life):
    life.boots()
    life.says("version", "up to date")
    life.publish("2.0.0")
    life.says("download", "^40%")
    life.world.wifi(False)
    life.measures(2)
    life.world.wifi(True)
    life.says("version", "up to date: 2.0.0")
    assert life.version == "2.0.0" and not life.said("rollback")


def test_a_board_that_knows_no_network_measures(life):
    life.write("nvs", b"\xff" * 0x4000)
    life.write("data", b"\xff" * 0x2000)  # the second copy
    life.boots()
    life.says("wifi", "no usable network is stored")
    life.measures(3)
    assert not life.front.requests
