"""What the tracker remembers of earlier frames, and how a new frame looks it up.

Five memories, from quickest to forget to never:

- sensory: one hidden state per object, rewritten every frame (held by the tracker);
- recent: the newest frame, until the next comes; only networks that ask for it have it;
- working: keys and values of the last few memory frames, at full resolution;
- long-term: a few thousand prototypes distilled from working memory when it fills;
- permanent: the frames an annotator confirmed, kept until they are taken out.

`bank.py` decides what moves where, `store.py` holds one set of keys and values, `readout.py`
is the arithmetic. Nothing here knows about files, videos or objects' names.
"""
