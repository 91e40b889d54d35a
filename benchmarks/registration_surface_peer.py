"""small_gicp on the cases of registration_surface.py; runs under the peers' interpreter.

PEERS/bin/python benchmarks/registration_surface_peer.py CASES.npz RESULTS.npz
"""

from __future__ import annotations

import sys
import time

import numpy as np
import small_gicp

THREADS = 2
NEIGHBOURS = 20


def main() -> int:
    cases = np.load(sys.argv[1])
    target = small_gicp.PointCloud(cases["target"])
    tree = small_gicp.KdTree(target, num_threads=THREADS)
    small_gicp.estimate_normals_covariances(target, tree, NEIGHBOURS, THREADS)
    found = {}
    for kind in ("GICP", "PLANE_ICP"):
        matrices, walls, cpus = [], [], []
        for points, start in zip(cases["points"], cases["starts"], strict=True):
            wall, cpu = time.perf_counter(), time.process_time()
            source = small_gicp.PointCloud(points)
            if kind == "GICP":
                source_tree = small_gicp.KdTree(source, num_threads=THREADS)
                small_gicp.estimate_covariances(source, source_tree, NEIGHBOURS, THREADS)
            result = small_gicp.align(
                target,
                source,
                tree,
                init_T_target_source=start,
                registration_type=kind,
                max_correspondence_distance=float(cases["reach_mm"]),
                num_threads=THREADS,
                max_iterations=100,
            )
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
            matrices.append(result.T_target_source)
        found[f"{kind}_matrices"] = np.array(matrices)
        found[f"{kind}_walls"] = np.array(walls)
        found[f"{kind}_cpus"] = np.array(cpus)
    np.savez(sys.argv[2], **found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
