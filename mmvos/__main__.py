"""The command ``mmvos`` by another name, for a checkout that is not installed: ``python -m
mmvos``.
"""

from mmvos.cli.main import main

if __name__ == '__main__':
    main()
