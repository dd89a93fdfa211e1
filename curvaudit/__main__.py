"""`python -m curvaudit`"""

from .cli import main

main()
