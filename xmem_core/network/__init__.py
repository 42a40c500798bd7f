"""The network: pictures and masks in, keys, values and logits out. It remembers nothing.

`xmem.py` wires the parts, `config.py` says how wide they are, `backbones.py` holds the two
families of trunk, `encoders.py` and `decoder.py` what XMem adds to them. Shapes use fixed
letters: B batch, K objects, C channels, H and W size, h and w that size divided by 16.
"""
