"""Many videos in one run: which they are, what is said about each, and who segments which.

``videos`` lists them, ``prompt_folder`` finds the objects of each, ``worker`` segments one and
keeps what came of it, ``shares`` divides them among processes that know nothing of one another but
the folder of the results, ``local_processes`` starts such processes on this machine,
``ray_cluster`` gives videos to actors on the machines of a Ray cluster, and ``report`` makes the
table. Nothing here needs torch, and only ``ray_cluster`` needs Ray.
"""
