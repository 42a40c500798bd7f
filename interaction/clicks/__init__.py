"""Clicks become a mask: a network that takes a picture and click maps, refined until its answer
agrees with every click (f-BRS, Sofiiuk et al., CVPR 2020, https://arxiv.org/abs/2001.10331).
"""
