"""Execute the pages that need it before Sphinx reads them: side by side, one on each core.

Sphinx reads pages one after the other, and executes each as it comes to it unless the cache has its outputs. So what is
missing from the cache is put there first. A page that fails is left out: Sphinx then executes it again, and says why.
"""

import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from freshness import page_code
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.read import create_nb_reader
from sphinx.util import logging

logger = logging.getLogger(__name__)


def execute_missing(app, env, docnames: list[str]) -> None:
    cache = get_cache(env.mystnb_config.execution_cache_path)
    missing = {docname: nb for docname in docnames if (nb := notebook(app, env, docname)) and not cached(cache, nb)}
    if len(missing) < 2:
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core for each page: kernels inherit this
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {pool.submit(execute, env, docname, nb): docname for docname, nb in missing.items()}
        for future in as_completed(running):
            docname, result = running[future], future.result()
            if result.err is None:
                bundle = CacheBundleIn(
                    missing[docname], str(env.doc2path(docname)), data={"execution_seconds": result.time}
                )
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
                logger.info("executed %s in %.0f s", docname, result.time)


def notebook(app, env, docname: str):
    """The page as MyST-NB will see it, stamped by `freshness`; None if it has no code."""
    path = Path(env.doc2path(docname))
    source = [path.read_text(encoding="utf-8")]
    if page_code(source[0]) is None:
        return None
    app.emit("source-read", docname, source)
    return create_nb_reader(str(path), env.myst_config, env.mystnb_config, source[0]).read(source[0])


def cached(cache, nb) -> bool:
    try:
        cache.match_cache_notebook(nb)
    except KeyError:
        return False
    return True


def execute(env, docname: str, nb):
    folder = str(Path(env.doc2path(docname)).parent.resolve())
    return single_nb_execution(nb, cwd=folder, timeout=env.mystnb_config.execution_timeout, allow_errors=False)


def setup(app) -> dict[str, bool]:
    app.connect("env-before-read-docs", execute_missing)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
