"""Helm's library in a process of its own: it signs what it applies with the title of its process, and xdist overwrites that."""

from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context


class HelmRefused(Exception):
    """Helm said no; its own words."""


@contextmanager
def open_helm(kubeconfig, namespace):
    """A function that calls Helm: ``helm("install", chart, name, values, timeout=...)``; raises ``HelmRefused``."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        yield lambda method, *arguments, **options: process.submit(_call, kubeconfig, namespace, method, arguments, options).result()


def _call(kubeconfig, namespace, method, arguments, options):
    import helm_python

    with helm_python.Config(kubeconfig_path=kubeconfig, namespace=namespace) as config:
        try:
            return getattr(config, method)(*arguments, **options)
        except helm_python.HelmError as error:
            raise HelmRefused(str(error)) from None
