"""The network: pictures and masks in, keys, values and logits out. It remembers nothing.

`xmem.py` is the network, `config.py` says how wide it is, `backbones.py` holds the two families of
trunk, `blocks.py` what the parts are built of. Shapes use fixed
letters: B batch, K objects, C channels, H and W size, h and w that size divided by 16.
"""
