"""Images that are themselves: from a registry or an OCI layout on disk to a root file system that containers start on.

`reference` says where an image is, `layout` and `registry` fetch it, `layer` and `merge` unpack it, `store` keeps it, `pull`
does one pull whole, and `images` is what the node agent calls.
"""

from argosy.engine.node.oci.images import OciImages

__all__ = ["OciImages"]
