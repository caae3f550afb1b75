"""CC0 MakeHuman people: files, shape, clothes and rig, as MuJoCo skins over the articulated body of people.py."""
