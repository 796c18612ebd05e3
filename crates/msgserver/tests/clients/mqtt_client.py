"""A client from the library `paho-mqtt`, driven by a test. It comes back by itself when it is cut off.

    mqtt_client.py ADDRESS VERSION USER CLIENT_ID OPTIONS

VERSION is 311 or 5. OPTIONS is an object: `password`; `will`, a list of topic and payload; `manual`, if the test
acknowledges. Each line of standard input is an object: {"subscribe": [[filter, qos], …]}, {"publish": [topic, payload,
qos]}, {"acknowledge": packet id}, {"leave": true}. Whatever comes is printed as a line of JSON.
"""

import json
import os
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

address, version, user, client_id, options = sys.argv[1:]
options = json.loads(options)
host, port = address.rsplit(":", 1)
is_5 = version == "5"


def show(**what):
    print(json.dumps(what), flush=True)


def on_connect(client, userdata, flags, reason, properties):
    show(connected=reason.value, session_present=flags.session_present)


def on_message(client, userdata, message):
    pairs = getattr(message.properties, "UserProperty", []) if is_5 else []
    show(
        payload=message.payload.decode(),
        topic=message.topic,
        qos=message.qos,
        dup=message.dup,
        retain=message.retain,
        packet=message.mid,
        properties=dict(pairs),
    )


client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2,
    client_id=client_id,
    protocol=mqtt.MQTTv5 if is_5 else mqtt.MQTTv311,
    clean_session=None if is_5 else False,
    manual_ack=options.get("manual", False),
)
client.username_pw_set(user, options.get("password"))
if "will" in options:
    topic, payload = options["will"]
    client.will_set(topic, payload, qos=1)
client.reconnect_delay_set(1, 1)
client.on_connect = on_connect
client.on_message = on_message
client.on_disconnect = lambda client, userdata, flags, reason, properties: show(disconnected=reason.value)
client.on_subscribe = lambda client, userdata, mid, codes, properties: show(subscribed=[code.value for code in codes])
client.on_publish = lambda client, userdata, mid, reason, properties: show(published=reason.value)

if is_5:
    lasting = Properties(PacketTypes.CONNECT)
    lasting.SessionExpiryInterval = 3600
    client.connect(host, int(port), clean_start=False, properties=lasting)
else:
    client.connect(host, int(port))


def obey():
    for line in sys.stdin:
        for what, argument in json.loads(line).items():
            if what == "subscribe":
                client.subscribe([tuple(each) for each in argument])
            elif what == "publish":
                client.publish(*argument)
            elif what == "acknowledge":
                client.ack(argument, 1)
            elif what == "leave":
                client.disconnect()


threading.Thread(target=obey, daemon=True).start()
# Gives up in the end: a test that waits for what does not come is to fail.
threading.Timer(120, lambda: (show(given_up=True), client.disconnect())).start()
client.loop_forever()
show(ended=True)
os._exit(0)
