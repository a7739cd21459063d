"""CEL, the language of the rules in CustomResourceDefinitions and admission policies.

From text to tree (`syntax`), types and what they allow (`check`, `library`), an upper bound of the work (`cost`), and the
evaluation itself (`evaluate`); `rules` applies it to schemas and objects. Pure.
"""
