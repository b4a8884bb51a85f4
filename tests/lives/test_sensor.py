"""The sensor fails in every way it can: nothing that isn't a temperature reaches the server, and it recovers."""

FAULTS = {
    "missing": "no sensor",
    "crc": "CRC error",
    "power_on": "power-on value 85.0",
    "short": "held low",
    "silent": "CRC error",
}


def test_no_fault_of_the_sensor_becomes_a_temperature_and_each_is_recovered_from(life):
    life.boots()
    life.measures(1)
    for fault, words in FAULTS.items():
        life.world.sensor(fault=fault)
        life.says("sensor", words)
        life.world.sensor(fault=None)
        life.says("sensor", "reads 21.50 C")
    life.measures(4)
    readings = life.readings()
    assert readings and {reading.value for reading in readings} == {21.5}


def test_an_occasional_crc_error_costs_no_reading(life):
    life.world.sensor(fault="crc", fault_every=4)
    life.boots()
    life.measures(12)
    assert not [text for text in life.said("sensor") if "CRC" in text]
    assert {reading.value for reading in life.readings()} == {21.5}


def test_a_board_that_starts_without_a_sensor_says_so_and_measures_once_it_has_one(life):
    life.world.sensor(fault="missing")
    life.boots()
    life.says("sensor", "no sensor")
    life.says("version", "up to date")
    assert not life.readings()
    life.world.sensor(fault=None)
    life.says("sensor", "reads 21.50 C")
    life.measures(3)
    assert life.readings()


def test_85_degrees_that_were_measured_are_delivered(life):
    life.boots()
    life.measures(1)
    life.world.sensor(temperature_c=85.0)
    life.says("reading", "^85.00")
    life.measures(3)
    assert 85.0 in {reading.value for reading in life.readings()}


def test_a_dead_sensor_does_not_keep_a_board_from_an_update(life):
    life.boots()
    life.says("version", "up to date")
    life.world.sensor(fault="missing")
    life.says("sensor", "no sensor")
    life.publish("2.0.0")
    life.says("version", "up to date: 2.0.0")
    assert life.version == "2.0.0"
